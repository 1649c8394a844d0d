"""Sums over the pixels of a mask, of which its confidence, overlap and looks are made: of one mask, or of its parts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class SureSums(NamedTuple):
    """What the confidence in a mask is made of.

    Attributes
    ----------
    inside, probability
        Pixels of 0.5 or more and the sum of their probabilities.
    highest
        Largest probability.
    """

    inside: float
    probability: float
    highest: float

    @classmethod
    def of(cls, probability: NDArray[np.float32]) -> SureSums:
        """Return the sums over probabilities, float32 (H, W)."""
        inside = probability[probability >= 0.5]
        return cls(inside.size, float(inside.sum(dtype=np.float64)), float(probability.max(initial=0)))

    @property
    def confidence(self) -> float:
        """Mean probability of the pixels at 0.5 or more; the largest probability where there are none."""
        return self.probability / self.inside if self.inside else self.highest


class LooksSums(NamedTuple):
    """What a mask and the picture in it look like.

    Inside is where the probability times 255 is at least 128, as published (Zhao et al., 2025).

    Attributes
    ----------
    shown
        Pixels inside.
    red, green, blue, scaled
        Sums of the picture's colours and of the probabilities times 255 there.
    """

    shown: float
    red: float
    green: float
    blue: float
    scaled: float

    @classmethod
    def of(cls, probability: NDArray[np.float32], rgb: NDArray[np.uint8]) -> LooksSums:
        """Return the sums over probabilities, float32 (H, W), and a picture, uint8 (H, W, 3)."""
        scaled = probability.astype(np.float64) * 255
        shown = scaled >= 128
        red, green, blue = rgb[shown].sum(axis=0, dtype=np.float64).tolist()
        return cls(int(np.count_nonzero(shown)), red, green, blue, float(scaled[shown].sum()))

    @property
    def statistics(self) -> tuple[float, float, float, float]:
        """Means of probability, red, green and blue inside, each of 0-255 over 256; all are 0 where nothing is.

        Where the largest probability lies between 127 and 128, the released code divides by zero: that counts as
        nothing here.
        """
        if not self.shown:
            return 0.0, 0.0, 0.0, 0.0
        scaled, red, green, blue = (
            total / self.shown / 256 for total in (self.scaled, self.red, self.green, self.blue)
        )
        return scaled, red, green, blue


class OverlapSums(NamedTuple):
    """Pixels that two masks have in common, and those of each."""

    same: float
    one: float
    other: float

    @classmethod
    def of(cls, one: NDArray[np.bool_], other: NDArray[np.bool_]) -> OverlapSums:
        """Return the sums over two masks, bool (H, W)."""
        return cls(*(int(np.count_nonzero(mask)) for mask in (one & other, one, other)))

    @property
    def overlap(self) -> float:
        """Overlap over union, 0 where either is empty."""
        return self.same / (self.one + self.other - self.same) if self.same else 0.0
