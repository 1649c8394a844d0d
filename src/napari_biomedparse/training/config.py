"""What fixes a training run besides its data and network, and the limits of each value."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from napari_biomedparse.errors import SettingError
from napari_biomedparse.training.losses import LossConfig
from napari_biomedparse.training.triples import SamplingConfig

# Parts of the network that can be frozen or given adapters. A network without detail path has no such part.
PARTS = ("image_encoder", "pixel_decoder", "text_encoder", "mask_decoder", "detail_path")

Schedule = Literal["cosine", "step"]


class ConfigError(SettingError):
    """A setting that cannot be used; the message names it and says what it may be."""


@dataclass(frozen=True)
class AdapterConfig:
    """Low-rank adapters (Hu et al., LoRA, 2021) on the linear layers of some parts, whose own weights are frozen.

    Parameters
    ----------
    rank
        Rank of the change of each weight matrix; 0 for no adapters.
    parts
        The parts that get them; not those that the run freezes.
    scale
        Factor on the change, the paper's alpha over rank.
    """

    rank: int = 0
    parts: tuple[str, ...] = ("image_encoder", "text_encoder")
    scale: float = 2.0


@dataclass(frozen=True)
class TrainConfig:
    """Everything that fixes a run besides data and network.

    Parameters
    ----------
    steps
        Optimiser steps in all.
    batch
        Images per step, over all processes.
    parts
        Parts that a step's batch is drawn and computed in, one after another or on several processes; with several
        processes their number by default. The same number of parts gives the same numbers up to rounding, on however
        many processes.
    size
        Side of the training input in pixels; by default the network's own.
    rate
        Peak learning rate, reached after ``warmup`` steps.
    encoder_rate
        Factor on the rate of image and text encoder (0.1 in the published fine-tuning, 1 from scratch).
    schedule
        ``"cosine"`` lowers the rate to a hundredth, ``"step"`` to a tenth at each of ``milestones``.
    warmup
        Steps in which the rate rises to its peak.
    milestones
        Shares of the steps at which the rate drops (published: 88.889 % and 96.296 %).
    decay
        AdamW's weight decay; none on norms, biases, scales and embeddings.
    clip
        Largest norm of the whole gradient.
    average
        Decay per step of the exponential average of the weights, which is what gets exported. In the first steps it
        is less, (1 + step) / (10 + step), so that the average forgets what it began with.
    precision
        ``"float32"``; ``"bfloat16"`` on processors with units for it and on CUDA; ``"float16"``, with scaled
        gradients, on CUDA. Weights, averages, norms and losses stay in float32.
    device
        ``"auto"`` (CUDA, then Apple's MPS, then CPU) or a torch device.
    loaders
        Processes that prepare batches beforehand. By default none on a CPU, and beside a GPU up to eight.
    freeze
        Parts of the network that stay as they are.
    adapters
        Low-rank adapters.
    save_every
        Steps between checkpoints.
    log_every
        Steps between lines of the log.
    validate_every
        Steps between measurements on training images kept back for this; 0 for none, and none kept back.
    tensorboard
        Whether to log for TensorBoard too.
    seed
        Seed of weights and sampling.

    Raises
    ------
    ConfigError
        If a value is out of its range.
    """

    steps: int = 4000
    batch: int = 16
    parts: int = 1
    size: int | None = None
    rate: float = 1e-3
    encoder_rate: float = 1.0
    schedule: Schedule = "cosine"
    warmup: int = 100
    milestones: tuple[float, ...] = (0.88889, 0.96296)
    decay: float = 0.05
    clip: float = 5.0
    average: float = 0.999
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    device: str = "auto"
    loaders: int | None = None
    freeze: tuple[str, ...] = ()
    adapters: AdapterConfig = field(default_factory=AdapterConfig)
    save_every: int = 200
    log_every: int = 20
    validate_every: int = 0
    tensorboard: bool = False
    seed: int = 2024
    losses: LossConfig = field(default_factory=LossConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            _check_range(self, name, low, high)
        if self.size is not None and self.size % 32:
            raise ConfigError(f"size must be a multiple of 32, not {self.size}.")
        if self.batch % self.parts:
            raise ConfigError(f"A batch of {self.batch} images cannot be cut into {self.parts} equal parts.")
        if list(self.milestones) != sorted(self.milestones):
            raise ConfigError(f"milestones must rise, not {list(self.milestones)}.")
        for name in ("tile_zoom", "organ_zoom", "recolour", "recolour_organs"):
            pair = getattr(self.sampling, name)
            if pair is not None and pair[0] > pair[1]:
                raise ConfigError(f"sampling.{name} must be the smaller, then the larger value, not {pair}.")
        for part in (*self.freeze, *self.adapters.parts):
            if part not in PARTS:
                raise ConfigError(f"There is no part {part!r} of the network; the parts are {', '.join(PARTS)}.")


# Smallest and largest value of each number.
LIMITS: dict[str, tuple[float, float]] = {
    "steps": (1, math.inf),
    "batch": (1, math.inf),
    "parts": (1, math.inf),
    "size": (32, math.inf),
    "rate": (0, math.inf),
    "encoder_rate": (0, math.inf),
    "warmup": (0, math.inf),
    "milestones": (0, 1),
    "decay": (0, math.inf),
    # A norm of 0 would stop all learning.
    "clip": (1e-9, math.inf),
    "average": (0, 1),
    "loaders": (0, math.inf),
    "adapters.rank": (0, math.inf),
    "adapters.scale": (1e-9, math.inf),
    "save_every": (1, math.inf),
    "log_every": (1, math.inf),
    "validate_every": (0, math.inf),
    "seed": (0, 2**32 - 1),
    "losses.text_weight": (0, math.inf),
    "losses.match_text_weight": (0, math.inf),
    "losses.mask_weight": (0, math.inf),
    "losses.dice_weight": (0, math.inf),
    "losses.core_weight": (0, math.inf),
    "losses.points": (1, math.inf),
    "losses.oversample": (1, math.inf),
    "losses.importance": (0, 1),
    "sampling.prompts": (1, math.inf),
    "sampling.absent": (0, 1),
    "sampling.foreign": (0, 1),
    "sampling.empty": (0, 1),
    "sampling.balance": (0, 1),
    "sampling.modality_balance": (0, 1),
    "sampling.weights": (1e-3, 1e3),
    "sampling.tile_zoom": (0.01, 100),
    "sampling.sized": (0, 1),
    "sampling.close_up": (0, 1),
    "sampling.organ_zoom": (0.01, 100),
    "sampling.bend": (0, 1),
    "sampling.recolour": (0, 2),
    "sampling.recolour_organs": (0, 2),
    "sampling.pasted": (0, 1),
    "sampling.tint": (0, 1),
    "sampling.centred": (0, 1),
}


def _check_range(config: TrainConfig, name: str, low: float, high: float) -> None:
    value: object = config
    for part in name.split("."):
        value = getattr(value, part)
    numbers = value if isinstance(value, tuple) else value.values() if isinstance(value, dict) else (value,)
    for number in numbers:
        # Not "low > number or ...": NaN is no number either.
        if number is not None and not (low <= number <= high and math.isfinite(number)):
            allowed = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
            raise ConfigError(f"{name} must be {allowed}, not {number:g}.")
