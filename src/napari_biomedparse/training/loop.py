"""The training loop: optimise, log, keep a checkpoint, resume to the same numbers, export the weights."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_biomedparse.engine.device import arithmetic, check_precision
from napari_biomedparse.engine.tables import table_path
from napari_biomedparse.errors import BiomedParseError
from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.checkpoint import save_model
from napari_biomedparse.model.config import ModelConfig
from napari_biomedparse.training.adapters import follower, merged, restrict, set_training
from napari_biomedparse.training.config import ConfigError, TrainConfig
from napari_biomedparse.training.dataset import DataError, Example, read_split
from napari_biomedparse.training.loader import BatchKey, batches
from napari_biomedparse.training.logs import Log, Progress
from napari_biomedparse.training.losses import prompt_losses
from napari_biomedparse.training.processes import Processes, join
from napari_biomedparse.training.run_file import RunConfig, check_place, check_same_run
from napari_biomedparse.training.schedule import rate_at
from napari_biomedparse.training.snapshot import State
from napari_biomedparse.training.start import start_from
from napari_biomedparse.training.triples import Batch, TripleSampler
from napari_biomedparse.training.validation import hold_out, validate

__all__ = ["DivergenceError", "Progress", "TrainConfig", "train", "train_steps"]


class DivergenceError(BiomedParseError):
    """The loss or its gradient is no longer a number."""


def train(
    datasets: list[Path],
    model_config: ModelConfig | None,
    config: TrainConfig,
    out: Path,
    init: Path | None = None,
    report: Callable[[Progress], None] = lambda _: None,
) -> Path:
    """Train on the train splits and write ``model.safetensors`` to ``out``.

    A run that was cut off goes on from ``out/checkpoint.pt`` and gives the numbers it would have given. Started by
    ``torchrun``, all processes train one network together, and the first one writes.

    Parameters
    ----------
    datasets
        Folders in the BiomedParseData layout.
    model_config
        The network; None for that of ``init``.
    config
        The run.
    out
        Folder for the log, the checkpoint and the weights; made if needed.
    init
        Weights to start from, of the same network; parts that they lack start from random values.
    report
        Called with each logged step, in the first process.

    Returns
    -------
    Path
        The exported weights, in which adapters are merged.

    Raises
    ------
    DataError
        If no data set has a training image with masks.
    CheckpointError
        If ``init`` or the checkpoint does not fit.
    SettingError
        If the configuration does not fit this machine, the network or the number of processes, or the run in ``out``
        has taken more steps already.
    DivergenceError
        If the loss or its gradient is no longer finite.
    """
    # Closed also when the report fails, so that the log is complete.
    with closing(train_steps(datasets, model_config, config, out, init)) as steps:
        while True:
            try:
                progress = next(steps)
            except StopIteration as end:
                weights: Path = end.value
                return weights
            report(progress)


def train_steps(
    datasets: list[Path],
    model_config: ModelConfig | None,
    config: TrainConfig,
    out: Path,
    init: Path | None = None,
) -> Generator[Progress, None, Path]:
    """Do :func:`train` step by step: yields each logged step in the first process, can be abandoned between.

    Parameters and errors are those of :func:`train`; the weights are written after the last step.
    """
    with join(config.device) as processes:
        check_precision(config.precision, processes.device)
        parts, own = processes.parts(config.parts, config.batch)
        examples, held = _examples(datasets, config)
        out.mkdir(parents=True, exist_ok=True)
        state = _begin(model_config, init, config, processes.device)
        check_place(out)
        state.load(out / "checkpoint.pt")
        processes.check_same(
            state.step, f"The processes do not find the same checkpoint: give all of them the same folder, not {out}."
        )
        if state.step > config.steps:
            raise ConfigError(
                f"The run in {out} has taken {state.step} steps already, more than the {config.steps} asked for; "
                "train into another folder."
            )
        described = _describe(datasets, state, config, out, init)
        if state.step:
            check_same_run(out / "config.json", described)
        yield from _Loop(state, config, processes, parts, own, examples, held).run(out, described)
        if processes.first and init is not None and table_path(init).is_file():
            # Also which objects have cores and sizes is said there.
            shutil.copyfile(table_path(init), table_path(out / "model.safetensors"))
    return out / "model.safetensors"


def _examples(datasets: list[Path], config: TrainConfig) -> tuple[list[Example], list[Example]]:
    """Return the examples to train on, and those to validate on."""
    examples = [example for folder in datasets for example in read_split(folder, "train")]
    if not examples:
        raise DataError("None of the data sets has a training image with masks.")
    return hold_out(examples) if config.validate_every else (examples, [])


def _begin(model_config: ModelConfig | None, init: Path | None, config: TrainConfig, device: torch.device) -> State:
    """Return the state before the first step."""
    torch.manual_seed(config.seed)
    model, _ = start_from(init, model_config)
    # A network answers best at the size it was trained at, so that size goes with the weights.
    model.config = replace(model.config, input_size=config.size or model.config.input_size)
    restrict(model, config)
    model.to(device)
    scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "float16")
    return State(model, follower(model), torch.optim.AdamW(_groups(model, config)), scaler)


def _describe(datasets: list[Path], state: State, config: TrainConfig, out: Path, init: Path | None) -> RunConfig:
    """Return the run as a file that can be fed back from any folder."""
    folders = tuple(str(folder.resolve()) for folder in datasets)
    return RunConfig(folders, state.model.config, str(init.resolve()) if init else None, str(out.resolve()), config)


@dataclass(frozen=True)
class _Loop:
    """A run's state and what moves it on.

    Attributes
    ----------
    state, config, processes
        The run.
    parts, own
        In how many parts a batch is computed, and which of them by this process.
    examples, held
        Images to train on, and those kept back.
    """

    state: State
    config: TrainConfig
    processes: Processes
    parts: int
    own: range
    examples: list[Example]
    held: list[Example]

    def run(self, out: Path, described: RunConfig) -> Iterator[Progress]:
        """Do the steps that are left, and export the weights; yields what is logged."""
        first = self.processes.first
        log = Log(out, self.state.step, self.config.tensorboard) if first else None
        if first:
            described.write(out / "config.json")
        try:
            yield from self._steps(out, log)
        finally:
            if log:
                log.close()
        if first:
            save_model(merged(self.state.average), out / "model.safetensors")

    def _steps(self, out: Path, log: Log | None) -> Iterator[Progress]:
        state, config = self.state, self.config
        drawn = self._batches()
        began = time.monotonic() - state.seconds
        set_training(state.model)
        for step in range(state.step, config.steps):
            losses = self._step(drawn, step)
            _follow(state.average, state.model, min(config.average, (1 + step) / (10 + step)))
            state.step, state.seconds = step + 1, time.monotonic() - began
            state.sums = {name: state.sums.get(name, 0.0) + value for name, value in losses.items()}
            state.summed += 1
            validating = bool(self.held) and self._due(config.validate_every)
            if validating or self._due(config.log_every):
                if log:
                    progress = self._progress(validating)
                    log.write(progress)
                    yield progress
                state.sums, state.summed = {}, 0
            if self._due(config.save_every):
                self.processes.check_equal_weights(state.model)
                if self.processes.first:
                    state.save(out / "checkpoint.pt")

    def _batches(self) -> Iterator[Batch]:
        state, config = self.state, self.config
        model = state.model.config
        sampler = TripleSampler(self.examples, model, model.input_size, config.sampling, config.seed)
        keys = [BatchKey(step, part) for step in range(state.step, config.steps) for part in self.own]
        return batches(sampler, keys, config.batch // self.parts, config.loaders, self.processes.device)

    def _step(self, drawn: Iterator[Batch], step: int) -> dict[str, float]:
        """Take one optimiser step; return the losses, averaged over the whole batch."""
        model, optimiser, scaler, config = self.state.model, self.state.optimiser, self.state.scaler, self.config
        for group in optimiser.param_groups:
            group["lr"] = group["factor"] * rate_at(step, config)
        optimiser.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        for part in self.own:
            # Drawn first: a loader that is started takes a random number too.
            batch = next(drawn)
            # Every part of every step has random numbers of its own, whichever process computes it.
            torch.manual_seed(config.seed + 1 + step + (part << 32))
            with arithmetic(config.precision, model.device):
                losses = _losses(model, batch, config)
            total = torch.stack(list(losses.values())).sum()
            torch.autograd.backward(scaler.scale(total / self.parts))
            sums = {name: sums.get(name, 0) + value.detach() / self.parts for name, value in losses.items()}
        means = self.processes.sum_values(sums)
        _check_finite("loss", means.values(), step)
        self.processes.sum_gradients(model.parameters())
        scaler.unscale_(optimiser)
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        # One step with a gradient that is not finite would ruin the weights; the scaler leaves such steps out itself.
        if not scaler.is_enabled():
            _check_finite("gradient", [float(norm)], step)
        scaler.step(optimiser)
        scaler.update()
        return means

    def _due(self, every: int) -> bool:
        """Return whether something that is done every so many steps, and at the end, is to be done now."""
        return self.state.step % every == 0 or self.state.step == self.config.steps

    def _progress(self, validating: bool) -> Progress:
        """Return what is to be logged."""
        state, config = self.state, self.config
        dice = validate(state.average, self.held) if validating else {}
        losses = {name: total / state.summed for name, total in state.sums.items()}
        return Progress(state.step, config.steps, losses, state.seconds, rate_at(state.step - 1, config), dice)


def _check_finite(name: str, values: Iterable[float], step: int) -> None:
    if not all(map(math.isfinite, values)):
        raise DivergenceError(f"The {name} is not finite at step {step}; lower the learning rate and resume.")


def _losses(model: BiomedParse, batch: Batch, config: TrainConfig) -> dict[str, Tensor]:
    image = model.encode_image(batch.images)
    text = model.encode_text(batch.prompts)
    heads = model.mask_decoder(image, text)
    return prompt_losses(model, image, text, heads, batch.masks, config.losses, batch.cores)


def _groups(model: BiomedParse, config: TrainConfig) -> list[dict[str, Any]]:
    """Group what is trained by learning rate and weight decay."""
    plain: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            encoder = name.startswith(("image_encoder", "text_encoder"))
            shrunk = parameter.ndim > 1 and not any(kind in name for kind in ("embedding", "positions", "queries"))
            key = (config.encoder_rate if encoder else 1.0, config.decay if shrunk else 0.0)
            plain.setdefault(key, []).append(parameter)
    return [
        {"params": parameters, "lr": config.rate, "factor": factor, "weight_decay": decay}
        for (factor, decay), parameters in plain.items()
    ]


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    for mean, parameter in zip(average.parameters(), model.parameters(), strict=True):
        if parameter.requires_grad:
            mean.lerp_(parameter, 1 - decay)
