"""How regular a mask's shape is, by the three measures of the BiomedParse paper (Zhao et al., 2025)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage.morphology import convex_hull_image

from napari_biomedparse.evaluation.overlap import box_of


class Shape(NamedTuple):
    """Measures of a mask's shape, each in (0, 1]; the smaller, the less regular.

    Attributes
    ----------
    box_ratio
        Area over that of the smallest upright box around the mask; 1 for such a rectangle.
    convex_ratio
        Area over that of the convex hull; 1 for a convex shape.
    inverse_rotational_inertia
        Squared area over 2 pi times the second moment about the centroid; 1 for a disc, 3 / pi for a square, less for
        what is long or scattered.
    """

    box_ratio: float
    convex_ratio: float
    inverse_rotational_inertia: float


def shape_of(mask: NDArray[np.bool_]) -> Shape | None:
    """Measure a mask's shape, all its objects together; None where it is empty.

    Parameters
    ----------
    mask
        bool (H, W). A pixel is a square of side 1, which has a second moment of 1/6 about its own centre.
    """
    place = box_of(mask)
    if place is None:
        return None
    inside = mask[place]
    area = int(inside.sum())
    hull = int(convex_hull_image(inside).sum())
    moment = sum(float(((axis - axis.mean()) ** 2).sum()) for axis in np.nonzero(inside)) + area / 6
    return Shape(area / inside.size, area / max(hull, area), area**2 / (2 * math.pi * moment))
