"""The training loop: optimise, log, keep a checkpoint, resume to the same numbers, export the weights."""

from __future__ import annotations

import copy
import csv
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.checkpoint import save_model
from napari_biomedparse.model.config import ModelConfig
from napari_biomedparse.training.dataset import DataError, read_split
from napari_biomedparse.training.losses import LossConfig, prompt_losses
from napari_biomedparse.training.start import start_from
from napari_biomedparse.training.triples import SamplingConfig, TripleSampler


@dataclass(frozen=True)
class TrainConfig:
    """Everything that fixes a run besides data and network.

    Parameters
    ----------
    steps
        Optimiser steps in all.
    batch
        Images per step.
    size
        Side of the training input in pixels; by default the network's own.
    rate
        Peak learning rate, reached after ``warmup`` steps and lowered along a cosine to a hundredth.
    encoder_rate
        Factor on the rate of image and text encoder (0.1 in the published fine-tuning, 1 from scratch).
    decay
        AdamW's weight decay; none on norms, biases, scales and embeddings.
    clip
        Largest norm of the whole gradient.
    average
        Decay per step of the exponential average of the weights, which is what gets exported.
    save_every
        Steps between checkpoints.
    seed
        Seed of weights and sampling.
    """

    steps: int = 4000
    batch: int = 16
    size: int | None = None
    rate: float = 1e-3
    encoder_rate: float = 1.0
    warmup: int = 100
    decay: float = 0.05
    clip: float = 5.0
    average: float = 0.999
    save_every: int = 200
    seed: int = 2024
    losses: LossConfig = field(default_factory=LossConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)


@dataclass(frozen=True)
class Progress:
    """One logged step: its number, the mean losses since the last one, seconds since the start."""

    step: int
    steps: int
    losses: dict[str, float]
    seconds: float


def train(
    datasets: list[Path],
    model_config: ModelConfig,
    config: TrainConfig,
    out: Path,
    init: Path | None = None,
    report: Callable[[Progress], None] = lambda _: None,
) -> Path:
    """Train on the train splits and write ``model.safetensors`` to ``out``.

    A run that was cut off goes on from ``out/checkpoint.pt`` and gives the numbers it would have given.

    Parameters
    ----------
    datasets
        Folders in the BiomedParseData layout.
    model_config
        The network.
    config
        The run.
    out
        Folder for the log, the checkpoint and the weights; made if needed.
    init
        Weights to start from, of the same network; parts that they lack start from random values.
    report
        Called with each logged step.

    Returns
    -------
    Path
        The exported weights.

    Raises
    ------
    DataError
        If no data set has a training image with masks.
    """
    examples = [example for folder in datasets for example in read_split(folder, "train")]
    if not examples:
        raise DataError("None of the data sets has a training image with masks.")
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    model, _ = start_from(init, model_config)
    size = config.size or model.config.input_size
    # A network answers best at the size it was trained at, so that size goes with the weights.
    model.config = replace(model.config, input_size=size)
    average = copy.deepcopy(model).eval().requires_grad_(False)
    optimiser = torch.optim.AdamW(_groups(model, config))
    sampler = TripleSampler(examples, model.config, size, config.sampling, config.seed)
    checkpoint = out / "checkpoint.pt"
    start = _resume(checkpoint, model, average, optimiser)
    (out / "config.json").write_text(
        json.dumps({"model": model.config.to_dict(), "train": asdict(config)}, indent=1), encoding="utf-8"
    )

    began, sums = time.monotonic(), dict.fromkeys(("text", "mask", "dice"), 0.0)
    model.train()
    for step in range(start, config.steps):
        _set_rate(optimiser, config, step)
        torch.manual_seed(config.seed + 1 + step)
        losses = _step(model, sampler, optimiser, config, step)
        _follow(average, model, min(config.average, (1 + step) / (10 + step)))
        for name, value in losses.items():
            sums[name] += value
        done = step + 1
        if done % 20 == 0 or done == config.steps:
            since = (step - start) % 20 + 1
            progress = Progress(done, config.steps, {k: v / since for k, v in sums.items()}, time.monotonic() - began)
            _log(out / "log.csv", progress)
            report(progress)
            sums = dict.fromkeys(sums, 0.0)
        if done % config.save_every == 0 or done == config.steps:
            _save(checkpoint, done, model, average, optimiser)
    weights = out / "model.safetensors"
    save_model(average, weights)
    return weights


def _step(
    model: BiomedParse, sampler: TripleSampler, optimiser: torch.optim.Optimizer, config: TrainConfig, step: int
) -> dict[str, float]:
    batch = sampler.batch(step, config.batch)
    image = model.encode_image(batch.images)
    text = model.encode_text(batch.prompts)
    heads = model.mask_decoder(image, text)
    losses = prompt_losses(model, image, text, heads, batch.masks.to(model.device), config.losses)
    total = torch.stack(list(losses.values())).sum()
    if not torch.isfinite(total):
        raise FloatingPointError(f"The loss is not finite at step {step}; lower the learning rate and resume.")
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(total)
    nn.utils.clip_grad_norm_(model.parameters(), config.clip)
    optimiser.step()
    return {name: value.item() for name, value in losses.items()}


def _groups(model: BiomedParse, config: TrainConfig) -> list[dict[str, Any]]:
    """Group parameters by learning rate and weight decay."""
    plain: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        encoder = name.startswith(("image_encoder", "text_encoder"))
        shrunk = parameter.ndim > 1 and "embedding" not in name and "positions" not in name and "queries" not in name
        key = (config.encoder_rate if encoder else 1.0, config.decay if shrunk else 0.0)
        plain.setdefault(key, []).append(parameter)
    return [
        {"params": parameters, "lr": config.rate, "factor": factor, "weight_decay": decay}
        for (factor, decay), parameters in plain.items()
    ]


def _set_rate(optimiser: torch.optim.Optimizer, config: TrainConfig, step: int) -> None:
    warm = min(1.0, (step + 1) / max(config.warmup, 1))
    cosine = 0.01 + 0.99 * (1 + math.cos(math.pi * step / config.steps)) / 2
    for group in optimiser.param_groups:
        group["lr"] = config.rate * group["factor"] * warm * cosine


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    for mean, parameter in zip(average.parameters(), model.parameters(), strict=True):
        mean.lerp_(parameter, 1 - decay)


def _save(path: Path, step: int, model: BiomedParse, average: BiomedParse, optimiser: torch.optim.Optimizer) -> None:
    state = {
        "step": step,
        "model": model.state_dict(),
        "average": average.state_dict(),
        "optimiser": optimiser.state_dict(),
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def _resume(path: Path, model: BiomedParse, average: BiomedParse, optimiser: torch.optim.Optimizer) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    average.load_state_dict(state["average"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])


def _log(path: Path, progress: Progress) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["step", *progress.losses, "seconds"])
        values = [f"{value:.5f}" for value in progress.losses.values()]
        writer.writerow([progress.step, *values, f"{progress.seconds:.1f}"])
