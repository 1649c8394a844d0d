"""How much of a mask is right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.shape import Bounds, box_of


def dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Return twice the overlap over the sum of both areas; 1 where both are empty."""
    areas = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / areas if areas else 1.0


def iou(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Return overlap over union; 1 where both are empty."""
    union = int((found | truth).sum())
    return int((found & truth).sum()) / union if union else 1.0


def box_iou(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Return overlap over union of the boxes around two masks; 1 where both are empty, 0 where one is."""
    one, two = box_of(found), box_of(truth)
    if one is None or two is None:
        return float(one is two)
    sides = [min(a.stop, b.stop) - max(a.start, b.start) for a, b in zip(one, two, strict=True)]
    both = max(0, sides[0]) * max(0, sides[1])
    return both / (_area(one) + _area(two) - both)


def _area(box: Bounds) -> int:
    return (box[0].stop - box[0].start) * (box[1].stop - box[1].start)
