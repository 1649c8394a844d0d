"""Masks as they are kept after a run: small enough for a stack, exact at every step of the threshold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.results import SAME, ObjectMask
from napari_biomedparse.errors import SettingError

# Probabilities are kept in this many steps, rounded up: so p > n / 200 is the same before and after for every n.
STEPS = 200
# What is not above this many of them is kept as nothing.
LEAST = 4
# The probabilities that a level does not exceed, and those that it does, as thresholds are compared with.
_EDGES = (np.arange(STEPS + 1) / STEPS).astype(np.float32)
_EDGES_BELOW = np.concatenate([np.array([-1], np.float32), _EDGES[:-1]])


@dataclass(frozen=True)
class KeptMask:
    """The answer to one prompt on one plane.

    Attributes
    ----------
    prompt
        The words asked.
    shape
        Height and width of the plane (or its part) that was parsed.
    corner
        Row and column of the first kept pixel.
    levels
        uint8 (h, w): the probability times 200, rounded up, where it is more than 0.02.
    cores
        uint8 (h, w): the same of the probability of the objects' inner parts, or None.
    confidence
        Mean probability of the pixels at 0.5 or more; the largest probability where there are none.
    control
        Overlap with what words naming nothing give, as :attr:`ObjectMask.control`.
    presence
        p-value of the presence test; None where it is not known.
    """

    prompt: str
    shape: tuple[int, int]
    corner: tuple[int, int]
    levels: NDArray[np.uint8]
    cores: NDArray[np.uint8] | None
    confidence: float
    control: float | None
    presence: float | None

    @property
    def depends_on_words(self) -> bool:
        """Whether the mask is another one than words naming nothing give, as far as that was asked."""
        return self.control is None or self.control <= SAME

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.levels.nbytes + (0 if self.cores is None else self.cores.nbytes)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Where the kept part lies on the plane."""
        top, left = self.corner
        height, width = self.levels.shape
        return slice(top, top + height), slice(left, left + width)

    def restore(self) -> ObjectMask:
        """Return the mask with probabilities (H, W) in steps of 1/200."""
        cores = None if self.cores is None else self._probability(self.cores)
        return ObjectMask(self.prompt, self._probability(self.levels), self.control, cores)

    def _probability(self, levels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.spread(levels).astype(np.float32) / np.float32(STEPS)

    def spread(self, levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return levels of the kept part on the whole plane, uint8 (H, W)."""
        whole = np.zeros(self.shape, np.uint8)
        whole[self.slices] = levels
        return whole

    @cached_property
    def area(self) -> NDArray[np.int64]:
        """int64 (201,): pixels with each level."""
        return np.bincount(self.levels.ravel(), minlength=STEPS + 1)

    def pixels_above(self, threshold: float) -> int:
        """Return how many pixels are above a threshold."""
        return int(self.area[step_of(threshold) + 1 :].sum())


def step_of(threshold: float) -> int:
    """Return the level that kept values must exceed for their probability to exceed a threshold.

    Raises
    ------
    SettingError
        If the threshold is not between 0 and 1.
    """
    if not 0 <= threshold <= 1:
        raise SettingError(f"The threshold must be between 0 and 1, not {threshold}.")
    return round(threshold * STEPS)


def keep(mask: ObjectMask, presence: float | None = None) -> KeptMask:
    """Keep a mask, cut to where it is more than 0.02."""
    levels = levels_of(mask.probability)
    above = levels > LEAST
    rows, columns = np.flatnonzero(above.any(axis=1)), np.flatnonzero(above.any(axis=0))
    if not len(rows):
        corner, part = (0, 0), (slice(0), slice(0))
    else:
        corner = int(rows[0]), int(columns[0])
        part = slice(corner[0], int(rows[-1]) + 1), slice(corner[1], int(columns[-1]) + 1)
    cut = np.where(above[part], levels[part], 0).astype(np.uint8)
    cores = None if mask.cores is None else levels_of(mask.cores[part])
    height, width = mask.probability.shape
    return KeptMask(mask.prompt, (height, width), corner, cut, cores, mask.confidence, mask.control, presence)


def levels_of(probability: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return probabilities as levels: times 200, rounded up."""
    levels: NDArray[np.uint8] = np.ceil(probability * np.float32(STEPS)).astype(np.uint8)
    # The product of a probability next to a step may be rounded to the step's other side.
    levels += probability > _EDGES[levels]
    levels -= probability <= _EDGES_BELOW[levels]
    return levels
