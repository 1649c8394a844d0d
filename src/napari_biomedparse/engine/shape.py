"""How regular a mask's shape is: the three measures of the BiomedParse paper (Zhao et al., 2025), and eccentricity."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from skimage.morphology import convex_hull_image

# Rows and columns of a box.
Bounds = tuple["slice[int, int, None]", "slice[int, int, None]"]


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


def box_of(mask: NDArray[np.bool_]) -> Bounds | None:
    """Return the rows and columns of the smallest box around a mask, None where it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def shape_of(mask: NDArray[np.bool_], pixel: tuple[float, float] = (1.0, 1.0)) -> Shape | None:
    """Measure a mask's shape, all its objects together; None where it is empty.

    Parameters
    ----------
    mask
        bool (H, W). A pixel is a rectangle, which has a second moment about its own centre; also a single one or a
        line of them has well-defined measures.
    pixel
        Height and width of a pixel; only their ratio counts.
    """
    place = box_of(mask)
    if place is None:
        return None
    inside = mask[place]
    area = int(inside.sum())
    hull = int(convex_hull_image(inside).sum())
    # About its own centre, a pixel of side s has the second moment s ** 2 / 12 along each axis, times its area.
    moment = sum(
        side**2 * (float(((axis - axis.mean()) ** 2).sum()) + area / 12)
        for axis, side in zip(np.nonzero(inside), pixel, strict=True)
    )
    inertia = area**2 * pixel[0] * pixel[1] / (2 * math.pi * moment)
    return Shape(area / inside.size, area / max(hull, area), inertia)


def eccentricity_of(mask: NDArray[np.bool_], pixel: tuple[float, float] = (1.0, 1.0)) -> float:
    """Return the eccentricity of the ellipse with a mask's second moments: 0 for a circle, 1 for a line of pixels.

    Pixels count as points, as in scikit-image. A single one has 0.

    Parameters
    ----------
    mask
        bool (H, W), not empty.
    pixel
        Height and width of a pixel; only their ratio counts.
    """
    points = [axis * side for axis, side in zip(np.nonzero(mask), pixel, strict=True)]
    small, large = np.linalg.eigvalsh(np.cov(points, bias=True))
    return math.sqrt(1 - min(max(float(small / large), 0.0), 1.0)) if large > 0 else 0.0


def volume_solidity(mask: NDArray[np.bool_]) -> float:
    """Return a volume over that of the convex hull of its voxels' corners, in (0, 1].

    The hull spans the steps of a round surface: a ball 30 voxels across has 0.90, one of 100 voxels 0.96.

    Parameters
    ----------
    mask
        bool (D, H, W), not empty. A voxel is a box, so also a single one, a line or a plane of them has a hull.
    """
    # Only the ends of each row can be corners of the hull.
    z, y = np.nonzero(mask.any(axis=2))
    rows = mask[z, y]
    ends = np.concatenate([rows.argmax(axis=1), mask.shape[2] - rows[:, ::-1].argmax(axis=1)])
    rows_twice = np.stack([np.tile(z, 2), np.tile(y, 2), ends], axis=1)
    corners = np.concatenate([rows_twice + np.array([dz, dy, 0]) for dz in (0, 1) for dy in (0, 1)])
    return min(1.0, int(mask.sum()) / float(ConvexHull(corners).volume))
