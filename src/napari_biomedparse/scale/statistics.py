"""What a plane's findings are judged by, summed up over its blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.instances import Typical, has_cores, radii, typical_radius
from napari_biomedparse.engine.kept import KeptMask, step_of
from napari_biomedparse.engine.presence import Statistics, best_presence
from napari_biomedparse.engine.results import ObjectMask
from napari_biomedparse.ontology import RecognitionTable


@dataclass(frozen=True)
class MaskSums:
    """Sums over the pixels of a prompt's mask.

    Attributes
    ----------
    inside, probability
        Pixels of 0.5 or more and the sum of their probabilities.
    highest
        Largest probability.
    shown, red, green, blue, scaled
        Pixels whose probability times 255 is at least 128, and over these the sums of the picture's colours and of the
        probabilities times 255.
    same, mask, nonsense
        Pixels above 0.5 in the mask and in that of words naming nothing, and in each.
    """

    inside: float
    probability: float
    highest: float
    shown: float
    red: float
    green: float
    blue: float
    scaled: float
    same: float
    mask: float
    nonsense: float

    @classmethod
    def of(cls, mask: ObjectMask, rgb: NDArray[np.uint8]) -> MaskSums:
        """Return the sums over a mask and the picture it was found on, uint8 (H, W, 3)."""
        p = mask.probability
        inside = p >= 0.5
        scaled = p.astype(np.float64) * 255
        shown = scaled >= 128
        above = p > 0.5
        other = np.zeros_like(above) if mask.nonsense is None else mask.nonsense
        colours = rgb[shown].sum(axis=0, dtype=np.float64)
        numbers = (
            *(inside.sum(), p[inside].sum(dtype=np.float64), p.max(initial=0)),
            *(shown.sum(), *colours, scaled[shown].sum()),
            *((above & other).sum(), above.sum(), other.sum()),
        )
        return cls(*map(float, numbers))

    @classmethod
    def total(cls, rows: NDArray[np.float64]) -> MaskSums:
        """Return the sums over several blocks, float64 (blocks, 11) in the attributes' order."""
        summed = rows.sum(axis=0)
        summed[2] = rows[:, 2].max()
        return cls(*map(float, summed))

    @property
    def confidence(self) -> float:
        """As :attr:`ObjectMask.confidence`."""
        return self.probability / self.inside if self.inside else self.highest

    @property
    def control(self) -> float:
        """As :attr:`ObjectMask.control`."""
        return self.same / (self.mask + self.nonsense - self.same) if self.same else 0.0

    def presence(self, prompt: str, table: RecognitionTable, modality: str | None) -> float | None:
        """Return the p-value of the presence test, None where it is not known."""
        means = (self.scaled, self.red, self.green, self.blue)
        values: Statistics = (0.0, 0.0, 0.0, 0.0)
        if self.shown:
            scaled, red, green, blue = (value / self.shown / 256 for value in means)
            values = scaled, red, green, blue
        return None if modality is None else best_presence(values, table, modality, prompt)


def typical_of(kept: KeptMask, threshold: float) -> tuple[NDArray[np.float64], bool]:
    """Return the radii of the pieces of a mask at a threshold, and whether inner parts were found in it."""
    mask = kept.spread(kept.levels) > step_of(threshold)
    cores = kept.restore().cores
    return radii(mask), cores is not None and has_cores(mask, cores)


def typical(sizes: Sequence[NDArray[np.float64]], learned: Sequence[bool]) -> Typical:
    """Return what holds for a plane, from :func:`typical_of` of its blocks."""
    return Typical(typical_radius(np.concatenate(sizes)), any(learned))
