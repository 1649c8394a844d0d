"""A short run on a user's own labels, with its gain measured on a part that was kept back."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

from napari_biomedparse.engine.predictor import Predictor
from napari_biomedparse.engine.tables import table_of, table_path
from napari_biomedparse.model.checkpoint import load_model
from napari_biomedparse.model.errors import CheckpointError
from napari_biomedparse.ontology import ModalityError
from napari_biomedparse.training.config import AdapterConfig, ConfigError, TrainConfig
from napari_biomedparse.training.loop import DivergenceError, train_steps
from napari_biomedparse.training.own_labels import Labelled, Picture, can_name_absent, keep_back, write_dataset
from napari_biomedparse.training.triples import SamplingConfig

Method = Literal["frozen", "adapters"]
# Rank of the adapters.
RANK = 8


class Step(NamedTuple):
    """Progress: training steps done, in all, and the loss of the last one; no loss while Dice is measured."""

    step: int
    total: int
    loss: float | None


@dataclass(frozen=True)
class FinetuneConfig:
    """How a model is fine-tuned.

    Parameters
    ----------
    method
        ``"frozen"``: the image encoder stays as it is, all else is trained. ``"adapters"``: besides, the image encoder
        gets low-rank adapters, which are merged into its weights at the end.
    steps
        Training steps.
    batch
        Pictures per step.
    rate
        Peak learning rate.
    device
        As for :class:`~napari_biomedparse.Predictor`.
    seed
        Of everything random: the same pictures and seed give the same weights.
    """

    method: Method = "frozen"
    steps: int = 60
    batch: int = 4
    rate: float = 1e-3
    device: str = "auto"
    seed: int = 2024

    def train(self, absent: bool) -> TrainConfig:
        """Return the run; ``absent`` says whether prompts for what is not in the pictures can be made."""
        adapted = self.method == "adapters"
        return TrainConfig(
            steps=self.steps,
            batch=self.batch,
            rate=self.rate,
            encoder_rate=0.3,
            warmup=max(1, self.steps // 10),
            device=self.device,
            loaders=0,
            freeze=() if adapted else ("image_encoder",),
            adapters=AdapterConfig(RANK, ("image_encoder",)) if adapted else AdapterConfig(),
            save_every=self.steps,
            log_every=1,
            seed=self.seed,
            # A second prompt for a picture may be one for something absent.
            sampling=SamplingConfig() if absent else SamplingConfig(prompts=1, absent=0.0, foreign=0.0),
        )


@dataclass(frozen=True)
class Tuned:
    """A model that was fine-tuned, kept in a temporary folder until it is saved or discarded.

    Attributes
    ----------
    before, after
        Prompt -> Dice on the part kept back, of the model that the run began with and of the new one.
    """

    before: dict[str, float]
    after: dict[str, float]
    _folder: TemporaryDirectory[str] = field(repr=False)

    @property
    def better(self) -> bool:
        """Whether the new model's mean Dice is no less."""
        return mean(self.after) >= mean(self.before)

    def save(self, target: Path) -> None:
        """Move the weights, and the table for recognition if there is one, to where they are to be.

        Raises
        ------
        CheckpointError
            If there is a file already, or it cannot be written; the model is then still here.
        """
        weights = _weights(Path(self._folder.name))
        if target.exists():
            raise CheckpointError(f"{target} is there already; choose another name.")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # The weights last: a model is there once they are.
            for source, place in ((table_path(weights), table_path(target)), (weights, target)):
                if source.exists():
                    shutil.move(source, place)
        except OSError as error:
            raise CheckpointError(f"{target} cannot be written ({error}); make room or choose another name.") from error
        self.discard()

    def discard(self) -> None:
        """Delete what is left in the temporary folder."""
        self._folder.cleanup()


def finetune(
    pictures: Sequence[Picture], base: Path, workspace: Path, config: FinetuneConfig
) -> Generator[Step, None, Tuned]:
    """Train a model further on a user's own labels; can be abandoned between steps, which leaves nothing behind.

    Parameters
    ----------
    pictures
        Planes and their labels.
    base
        Weights of the model to begin with.
    workspace
        Folder in which a temporary one is made; best on the disk that the model is to be saved on.
    config
        How.

    Yields
    ------
    Step
        After each training step, and while Dice is measured.

    Returns
    -------
    Tuned
        Both figures, and the model, to save or to discard.

    Raises
    ------
    DataError
        If the labels cannot be trained on, or too little is labelled.
    CheckpointError
        If ``base`` cannot be used.
    SettingError
        If the configuration does not fit this machine or the model.
    """
    shown, kept = keep_back(pictures)
    workspace.mkdir(parents=True, exist_ok=True)
    folder = TemporaryDirectory(prefix=".training-", dir=workspace)
    try:
        predictor = _predictor(base, config.device)
        shown = _with_modality(predictor, shown)
        before = yield from _measure(predictor, kept, Step(0, config.steps, None))
        del predictor
        data, out = Path(folder.name) / "labels", Path(folder.name)
        write_dataset(shown, data)
        run = config.train(can_name_absent(shown))
        weights = yield from _train(data, run, out, base)
        if table_path(base).is_file():
            shutil.copyfile(table_path(base), table_path(weights))
        after = yield from _measure(_predictor(weights, config.device), kept, Step(config.steps, config.steps, None))
    except BaseException:
        folder.cleanup()
        raise
    return Tuned(before, after, folder)


def mean(dice: dict[str, float]) -> float:
    """Return the mean of the Dice of all prompts."""
    return sum(dice.values()) / len(dice)


def _weights(folder: Path) -> Path:
    return folder / "model.safetensors"


def _predictor(weights: Path, device: str) -> Predictor:
    model = load_model(weights)
    return Predictor(model, device, table=table_of(weights, model.config.name), cache_bytes=0)


def _with_modality(predictor: Predictor, shown: list[Labelled]) -> list[Labelled]:
    """Return pictures with a kind of image, guessed where it is not known and the model can."""
    if predictor.table.classifier is None or all(picture.modality for picture in shown):
        return shown
    try:
        guessed, _ = predictor.guess(predictor.encode(shown[0].rgb))
    except ModalityError:
        return shown
    return [picture if picture.modality else picture.of_modality(guessed) for picture in shown]


def _measure(predictor: Predictor, kept: list[Labelled], progress: Step) -> Generator[Step, None, dict[str, float]]:
    """Return the Dice of each prompt over all pictures' parts in which it is labelled."""
    prompts = [
        prompt for prompt in dict.fromkeys(p for k in kept for p in k.numbers) if any(k.pixels(prompt) for k in kept)
    ]
    both, areas = dict.fromkeys(prompts, 0), dict.fromkeys(prompts, 0)
    for picture in kept:
        steps = predictor.steps(picture.rgb, prompts)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                masks = end.value
                break
            yield progress
        for mask in masks:
            found = mask.mask()[picture.part]
            truth = picture.mask(mask.prompt)
            both[mask.prompt] += int((found & truth).sum())
            areas[mask.prompt] += int(found.sum()) + int(truth.sum())
    return {prompt: 2 * both[prompt] / areas[prompt] for prompt in prompts}


def _train(data: Path, run: TrainConfig, out: Path, base: Path) -> Generator[Step, None, Path]:
    steps = train_steps([data], None, run, out, base)
    try:
        while True:
            try:
                progress = next(steps)
            except StopIteration as end:
                return Path(end.value)
            yield Step(progress.step, progress.steps, sum(progress.losses.values()))
    except DivergenceError as error:
        raise ConfigError("The training went astray: its loss is no longer a number. Try the other method.") from error
    finally:
        steps.close()
