"""Is the object there at all? The published test of a mask's statistics (Zhao et al., 2025)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from napari_biomedparse.engine.mask_sums import LooksSums
from napari_biomedparse.engine.results import ObjectMask
from napari_biomedparse.ontology import Distributions, RecognitionTable, find_modality

Statistics = tuple[float, float, float, float]


def mask_statistics(probability: NDArray[np.float32], rgb: NDArray[np.uint8]) -> Statistics:
    """Return the means of probability, red, green and blue inside a mask, each of 0-255 over 256.

    All are 0 where nothing is; see :class:`~.mask_sums.LooksSums`.

    Parameters
    ----------
    probability
        float32 (H, W).
    rgb
        uint8 (H, W, 3), at the same size.
    """
    return LooksSums.of(probability, rgb).statistics


def presence(mask: ObjectMask, rgb: NDArray[np.uint8], distributions: Distributions | None) -> float | None:
    """Return how well a mask fits what a present object looks like, or None for an object without distributions.

    The Kolmogorov-Smirnov p-value of one value against a distribution F is twice the smaller of F and 1 - F; those of
    the four statistics are multiplied, to the power 1/4.

    Parameters
    ----------
    mask
        The answer to the object's name.
    rgb
        The image as the network saw it, uint8 (H, W, 3).
    distributions
        Alpha and beta of the four statistics' Beta distributions.
    """
    return None if distributions is None else presence_of(mask_statistics(mask.probability, rgb), distributions)


def presence_of(values: Statistics, distributions: Distributions) -> float:
    """Return :func:`presence` of a mask with these statistics."""
    below = [float(betainc(a, b, value)) for value, (a, b) in zip(values, distributions, strict=True)]
    return math.prod(2 * min(share, 1 - share) for share in below) ** 0.25


def presence_in(mask: ObjectMask, rgb: NDArray[np.uint8], table: RecognitionTable, modality: str) -> float | None:
    """Return :func:`presence` by what a table knows of a mask's object in one of its modalities."""
    return best_presence(mask_statistics(mask.probability, rgb), table, modality, mask.prompt)


def best_presence(values: Statistics, table: RecognitionTable, modality: str, prompt: str) -> float | None:
    """Return the largest p-value by what a table knows of an object in one of its modalities, None if nothing.

    Where a model's own table knows it from grey images only, it is judged by the brightest channel: the colour in which
    fluorescence is kept is anybody's choice.
    """

    def judged(distributions: Distributions) -> float:
        brightest = max(values[1:])
        grey = table.classifier is not None and len(set(distributions[1:])) == 1
        return presence_of((values[0], brightest, brightest, brightest) if grey else values, distributions)

    return max(map(judged, distributions_in(table, modality, prompt)), default=None)


def distributions_in(table: RecognitionTable, modality: str, prompt: str) -> list[Distributions]:
    """Return what a table knows of the looks of a prompt's object in one of its modalities.

    Where the table tells modalities apart by the look of images, which says little about the site, that is what it
    knows in any of its modalities of that kind: a nucleus of a section of the skin is a nucleus, too.
    """
    kin = [modality]
    if table.classifier:
        kind = find_modality(modality)
        kin += [name for name in table.lists if name != modality and find_modality(name) == kind]
    found = (table.distributions(name, prompt) for name in kin)
    return [distributions for distributions in found if distributions is not None]
