"""Fit a model's own table for recognition: what present objects look like in its masks of the training images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from napari_biomedparse.engine.instances import CORE
from napari_biomedparse.engine.modality import fit_classifier
from napari_biomedparse.engine.predictor import Predictor
from napari_biomedparse.engine.preprocess import to_rgb
from napari_biomedparse.engine.presence import Statistics, mask_statistics
from napari_biomedparse.ontology import Distributions, RecognitionTable, all_objects, find_object
from napari_biomedparse.training.augment import may_be_tinted, tint
from napari_biomedparse.training.cores import cores
from napari_biomedparse.training.dataset import DataError, Example, of_size, read_split

T = TypeVar("T")

# An object needs this many masks for its distributions to mean anything.
LEAST_MASKS = 8
# Share of an object's pixels, and of its images, from which other objects count as its parts.
PARTS = 0.9
# Mean Dice of an object's inner parts from which they are of use in parting objects.
LEAST_CORE_DICE = 0.5
# Shapes of a fitted distribution beyond this are those of values that hardly vary; they would exclude everything else.
LARGEST_SHAPE = 500.0


def calibrate(
    predictor: Predictor,
    datasets: Sequence[Path],
    most: int = 60,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> RecognitionTable:
    """Fit the lists and distributions of a model on train splits.

    A modality is a pair of modality and site of the data, such as ``"X-Ray-Chest"``. Its list holds the objects that
    are seen often enough, without those that are the union of others. The distributions are those of the four
    statistics of the presence test inside the model's masks of images that show the object; masks left empty, which
    the test refuses anyway, are not counted. Modalities are told apart by a classifier fitted on all images, on grey
    fluorescence also in colours. Where objects are numbered and the model finds their inner parts, the table says that
    it can be asked for them.

    Parameters
    ----------
    predictor
        The model.
    datasets
        Folders in the BiomedParseData layout.
    most
        Images per modality and object, evenly chosen.
    report
        Called with the number of images done and the number of all.

    Raises
    ------
    DataError
        If no object is seen often enough, or a mask is not of its image's size.
    """
    examples = [example for folder in datasets for example in read_split(folder, "train")]
    by_modality: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_modality[modality_name(example)].append(example)
    chosen = {modality: _choose(shown, most) for modality, shown in by_modality.items()}
    numbered = _every([example for example in examples if example.instances], most)
    total = sum(map(len, chosen.values())) + len(examples) + len(numbered)
    lists: dict[str, tuple[str, ...]] = {}
    presence: dict[tuple[str, str], Distributions] = {}
    answers: dict[tuple[str, str], list[bool]] = defaultdict(list)
    done = 0
    for modality, shown in chosen.items():
        seen: dict[str, list[Statistics]] = defaultdict(list)
        for example in shown:
            for target, statistics in _measure(predictor, example):
                # Masks left empty.
                answers[modality, target].append(statistics[0] > 0)
                if statistics[0] > 0:
                    seen[target].append(statistics)
            done += 1
            report(done, total)
        fitted = {target: fit(values) for target, values in seen.items() if len(values) >= LEAST_MASKS}
        presence |= {(modality, target): pairs for target, pairs in fitted.items()}
        if fitted:
            unions = _unions(shown)
            lists[modality] = tuple(target for target in fitted if target not in unions)
    if not lists:
        raise DataError(_too_few(answers))
    names, descriptions = [], []
    for number, example in enumerate(examples):
        for pixels in _looks(example, np.random.default_rng(number)):
            names.append(modality_name(example))
            descriptions.append(predictor.describe(predictor.encode(pixels)))
        done += 1
        report(done, total)
    classifier = fit_classifier(names, np.stack(descriptions))
    known_cores = _known_cores(predictor, numbered)
    report(total, total)
    return RecognitionTable(lists, presence, classifier, known_cores)


def _too_few(answers: Mapping[tuple[str, str], Sequence[bool]]) -> str:
    """Return why nothing can be fitted, from whether the model found something for each mask of a modality's object."""
    missed = [(target, found) for (_, target), found in answers.items() if len(found) >= LEAST_MASKS]
    if not missed:
        return f"No object of one modality has {LEAST_MASKS} masks in these data sets; add data."
    shown = ", ".join(f"{sum(found)} of {len(found)} of {target}" for target, found in missed[:5])
    return (
        f"The model finds too few of the objects, where {LEAST_MASKS} of one modality are needed: for {shown} masks "
        "its answer is not empty. Train the model longer, or calibrate it on data like those it was trained on."
    )


def _looks(example: Example, rng: np.random.Generator) -> Iterator[NDArray[np.generic]]:
    """Yield an image, and once more in colours if it could just as well have been kept so."""
    pixels = example.read_image()
    yield pixels
    rgb = torch.from_numpy(to_rgb(pixels)).permute(2, 0, 1).float()
    if may_be_tinted(rgb, example.modality):
        yield tint(rgb, rng).permute(1, 2, 0).byte().numpy()


def _known_cores(predictor: Predictor, numbered: Sequence[Example]) -> tuple[str, ...]:
    """Return the objects whose inner parts the model finds on examples with numbered objects."""
    overlaps: dict[str, list[float]] = defaultdict(list)
    if not numbered:
        return ()
    table = RecognitionTable(cores=tuple(entry.id for entry in all_objects()))
    asked = Predictor(predictor.model, str(predictor.device), predictor.encoder.precision, table)
    for example in numbered:
        image = example.read_image()
        for target, path in example.instances.items():
            mask, found = asked.segment(image, [target])[0], find_object(target)
            if found and mask.cores is not None:
                numbers = of_size(example.read_instances(target), (image.shape[0], image.shape[1]), path)
                truth, core = cores(numbers), mask.cores > CORE
                overlaps[found.id].append(2 * float((core & truth).sum()) / max(1, int(core.sum() + truth.sum())))
    return tuple(sorted(known for known, values in overlaps.items() if np.mean(values) >= LEAST_CORE_DICE))


def modality_name(example: Example) -> str:
    """Return an example's modality and site as the published names are written, such as ``"X-Ray-Chest"``."""
    words = [word[:1].upper() + word[1:] for word in f"{example.modality}-{example.site}".split(" ")]
    return "-".join(part[:1].upper() + part[1:] for part in " ".join(words).split("-"))


def _choose(examples: list[Example], most: int) -> list[Example]:
    """Return every n-th example of each object, in order, so that each object has ``most`` at most."""
    by_target: dict[str, list[int]] = defaultdict(list)
    for number, example in enumerate(examples):
        for target in example.masks:
            by_target[target].append(number)
    numbers = {number for shown in by_target.values() for number in _every(shown, most)}
    return [examples[number] for number in sorted(numbers)]


def _every(values: Sequence[T], most: int) -> Sequence[T]:
    """Return ``most`` values at most, evenly chosen."""
    return values[:: max(1, -(-len(values) // most))]


def _measure(predictor: Predictor, example: Example) -> list[tuple[str, Statistics]]:
    """Return the statistics of the model's masks of the objects an image shows, all of whose masks are of its size."""
    image = example.read_image()
    shape = (image.shape[0], image.shape[1])
    masks = {target: of_size(example.read_mask(target), shape, path) for target, path in example.masks.items()}
    shown = [target for target, mask in masks.items() if mask.any()]
    if not shown:
        return []
    encoded = predictor.encode(image, scales=())
    found = predictor.segment(encoded, shown)
    return [(mask.prompt, mask_statistics(mask.probability, encoded.rgb)) for mask in found]


def fit(values: Sequence[Statistics]) -> Distributions:
    """Fit Beta distributions by their mean and variance, (alpha, beta) for each of the four statistics.

    Values of 0 and 1, where a likelihood has no bound, do no harm to moments.
    """
    table: NDArray[np.float64] = np.asarray(values, np.float64)
    pairs = []
    for column in table.T:
        mean = float(np.clip(column.mean(), 1e-3, 1 - 1e-3))
        # A Beta distribution's variance is below mean * (1 - mean).
        spread = float(np.clip(column.var(ddof=1), 1e-9, 0.99 * mean * (1 - mean)))
        strength = min(mean * (1 - mean) / spread - 1, LARGEST_SHAPE / max(mean, 1 - mean))
        pairs.append((round(mean * strength, 4), round((1 - mean) * strength, 4)))
    return tuple(pairs)


def _unions(examples: Sequence[Example]) -> set[str]:
    """Return the objects that are made up of others, the most frequent object first: lung of left and right lung."""
    masks = [{target: example.read_mask(target) for target in example.masks} for example in examples]
    count: dict[str, int] = defaultdict(int)
    for shown in masks:
        for target in shown:
            count[target] += 1
    area = {target: sum(int(shown[target].sum()) for shown in masks if target in shown) for target in count}
    unions: set[str] = set()
    for target in sorted(count, key=lambda name: (-count[name], -area[name])):
        covered = 0
        for shown in masks:
            parts = [mask for name, mask in shown.items() if name != target and name not in unions]
            if target in shown and parts:
                inside = shown[target] & np.logical_or.reduce(parts)
                covered += int(inside.sum()) >= PARTS * int(shown[target].sum())
        if covered >= PARTS * count[target]:
            unions.add(target)
    return unions
