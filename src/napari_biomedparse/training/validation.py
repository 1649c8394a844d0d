"""How well a network does during training, on training images that were kept back; the test split is never touched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from napari_biomedparse.engine.predictor import Predictor
from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.training.dataset import Example, of_size

# Share of each set's training images that is kept back, and how many of them are measured.
SHARE = 0.1
MOST = 12


def hold_out(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Keep back the last tenth of each set, in the order of names.

    Images of one patient mostly have neighbouring names, so a stretch shares fewer patients with the rest than images
    drawn at random would.

    Returns
    -------
    tuple
        The examples to train on, and those kept back; a set of a single image is trained on.
    """
    by_set: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_set[example.dataset].append(example)
    kept: list[Example] = []
    held: list[Example] = []
    for shown in by_set.values():
        count = min(max(1, round(SHARE * len(shown))), len(shown) - 1)
        kept += shown[: len(shown) - count]
        held += shown[len(shown) - count :]
    return kept, held


def validate(model: BiomedParse, held: Sequence[Example]) -> dict[str, float]:
    """Return each set's mean Dice over its images and their targets, threshold 0.5.

    Parameters
    ----------
    model
        The network, on its device.
    held
        Images kept back; of each set a dozen at most are measured, evenly chosen.

    Raises
    ------
    DataError
        If one cannot be read, or its mask is of another size.
    """
    # What it encodes is of no use to the next measurement, when the weights are others.
    predictor = Predictor(model, str(model.device), cache_bytes=0)
    scores: dict[str, list[float]] = defaultdict(list)
    for example in _chosen(held):
        image = example.read_image()
        shape = (image.shape[0], image.shape[1])
        truths = {target: of_size(example.read_mask(target), shape, path) for target, path in example.masks.items()}
        for mask in predictor.segment(image, list(truths)):
            found, truth = mask.mask(), truths[mask.prompt]
            areas = int(found.sum()) + int(truth.sum())
            scores[example.dataset].append(2 * int((found & truth).sum()) / areas if areas else 1.0)
    return {dataset: float(np.mean(values)) for dataset, values in scores.items()}


def _chosen(held: Sequence[Example]) -> list[Example]:
    by_set: dict[str, list[Example]] = defaultdict(list)
    for example in held:
        by_set[example.dataset].append(example)
    return [example for shown in by_set.values() for example in shown[:: -(-len(shown) // MOST)]]
