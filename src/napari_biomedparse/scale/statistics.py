"""What a plane's findings are judged by, summed up over its blocks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.instances import Typical, has_cores, radii, typical_radius
from napari_biomedparse.engine.kept import KeptMask, step_of
from napari_biomedparse.engine.mask_sums import LooksSums, OverlapSums, SureSums
from napari_biomedparse.engine.presence import best_presence
from napari_biomedparse.engine.results import ObjectMask
from napari_biomedparse.ontology import RecognitionTable


class MaskSums(NamedTuple):
    """Sums over the pixels of a prompt's mask.

    Attributes
    ----------
    sure
        For its confidence.
    looks
        For the presence test.
    common
        For its overlap with what words naming nothing give, both above 0.5.
    """

    sure: SureSums
    looks: LooksSums
    common: OverlapSums

    @classmethod
    def of(cls, mask: ObjectMask, rgb: NDArray[np.uint8]) -> MaskSums:
        """Return the sums over a mask and the picture it was found on, uint8 (H, W, 3)."""
        above = mask.mask()
        other = np.zeros_like(above) if mask.nonsense is None else mask.nonsense
        return cls(SureSums.of(mask.probability), LooksSums.of(mask.probability, rgb), OverlapSums.of(above, other))

    @classmethod
    def total(cls, rows: NDArray[np.float64]) -> MaskSums:
        """Return the sums over several blocks, float64 (blocks, 11), a :attr:`row` each."""
        summed = rows.sum(axis=0)
        highest = SureSums._fields.index("highest")
        summed[highest] = rows[:, highest].max()
        numbers = summed.tolist()
        return cls(SureSums(*numbers[:3]), LooksSums(*numbers[3:8]), OverlapSums(*numbers[8:]))

    @property
    def row(self) -> list[float]:
        """All numbers, in their order."""
        return list(map(float, itertools.chain(*self)))

    @property
    def confidence(self) -> float:
        """As :attr:`ObjectMask.confidence`."""
        return self.sure.confidence

    @property
    def control(self) -> float:
        """As :attr:`ObjectMask.control`."""
        return self.common.overlap

    def presence(self, prompt: str, table: RecognitionTable, modality: str | None) -> float | None:
        """Return the p-value of the presence test, None where it is not known."""
        return None if modality is None else best_presence(self.looks.statistics, table, modality, prompt)


def typical_of(kept: KeptMask, threshold: float) -> tuple[NDArray[np.float64], bool]:
    """Return the radii of the pieces of a mask at a threshold, and whether inner parts were found in it."""
    mask = kept.spread(kept.levels) > step_of(threshold)
    cores = kept.restore().cores
    return radii(mask), cores is not None and has_cores(mask, cores)


def typical(sizes: Sequence[NDArray[np.float64]], learned: Sequence[bool]) -> Typical:
    """Return what holds for a plane, from :func:`typical_of` of its blocks."""
    return Typical(typical_radius(np.concatenate(sizes)), any(learned))
