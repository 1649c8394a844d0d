"""Dice and IoU on the images of a split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.measure import Row
from napari_biomedparse.engine.predictor import Predictor
from napari_biomedparse.training.dataset import Example, Split, read_split

COLUMNS = (
    *("dataset", "modality", "site", "target", "prompt", "images"),
    *("dice_mean", "dice_median", "iou_mean"),
)


def dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Return twice the overlap over the sum of both areas; 1 where both are empty."""
    areas = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / areas if areas else 1.0


def iou(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Return overlap over union; 1 where both are empty."""
    union = int((found | truth).sum())
    return int((found & truth).sum()) / union if union else 1.0


def evaluate_datasets(
    predictor: Predictor, datasets: Sequence[Path], split: Split = "test", prompts: Sequence[str] | None = None
) -> Iterator[Row]:
    """Measure every target of data sets in the BiomedParseData layout.

    Parameters
    ----------
    predictor
        The model.
    datasets
        Folders of the sets.
    split
        Which images.
    prompts
        Words asked instead of the target's name; each gets a row.

    Yields
    ------
    dict
        The values of :data:`COLUMNS`: means and medians over images at threshold 0.5.
    """
    for dataset in datasets:
        scores: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
        for example in read_split(dataset, split):
            for key, score in _score(predictor, example, prompts):
                scores[key].append(score)
        for key, values in scores.items():
            dices, ious = zip(*values, strict=True)
            numbers: list[str | int | float] = [
                len(values),
                round(float(np.mean(dices)), 4),
                round(float(np.median(dices)), 4),
                round(float(np.mean(ious)), 4),
            ]
            yield dict(zip(COLUMNS, [*key, *numbers], strict=True))


def _score(
    predictor: Predictor, example: Example, prompts: Sequence[str] | None
) -> Iterator[tuple[tuple[str, ...], tuple[float, float]]]:
    asked = [(target, prompt) for target in example.masks for prompt in prompts or [target]]
    masks = predictor.segment(example.read_image(), [prompt for _, prompt in asked])
    for (target, prompt), mask in zip(asked, masks, strict=True):
        truth, found = example.read_mask(target), mask.mask()
        key = (example.dataset, example.modality, example.site, target, prompt)
        yield key, (dice(found, truth), iou(found, truth))
