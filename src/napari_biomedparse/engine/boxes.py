"""Boxes around objects."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi


class Box(NamedTuple):
    """A rectangle of whole pixels around an object.

    Attributes
    ----------
    top, left
        First row and column inside.
    bottom, right
        First row and column below and to the right of it.
    score
        Mean probability of the object's pixels, in [0, 1].
    """

    top: int
    left: int
    bottom: int
    right: int
    score: float

    @property
    def xywh(self) -> list[int]:
        """Left, top, width and height, as in COCO."""
        return [self.left, self.top, self.right - self.left, self.bottom - self.top]

    @property
    def corners(self) -> NDArray[np.float64]:
        """Row and column of the corners, float64 (4, 2), clockwise from the top left.

        They go round the outside of the pixels, whose centres have whole numbers.
        """
        top, left, bottom, right = (side - 0.5 for side in self[:4])
        return np.array([(top, left), (top, right), (bottom, right), (bottom, left)])


def box_objects(objects: NDArray[np.int32], inside: NDArray[np.bool_], probability: NDArray[np.float32]) -> list[Box]:
    """Return a box per object, ordered by its top, then by its left side.

    Parameters
    ----------
    objects
        int32 (H, W); 0 is background.
    inside
        bool (H, W): the pixels that count for the score. An object without any, such as a filled hole, has no box.
    probability
        float32 (H, W).
    """
    boxes: list[Box] = []
    for value, place in enumerate(ndi.find_objects(objects), start=1):
        if place is None:
            continue
        counted = (objects[place] == value) & inside[place]
        if counted.any():
            rows, columns = place
            score = float(probability[place][counted].mean(dtype=np.float64))
            boxes.append(Box(rows.start, columns.start, rows.stop, columns.stop, score))
    return sorted(boxes)
