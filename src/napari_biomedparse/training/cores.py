"""The inner parts of separate objects: touching objects have separate cores, which part them again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage.segmentation import find_boundaries

# The core is where the distance to the object's border is more than this share of its largest.
DEPTH = 0.5


def cores(numbers: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return the pixels well inside each object.

    Parameters
    ----------
    numbers
        Integers (H, W): the number of each pixel's object, 0 is background.

    Returns
    -------
    ndarray
        bool (H, W); every object has at least one pixel, and no two touch unless they are a few pixels small.
    """
    inside = (numbers > 0) & ~find_boundaries(numbers, connectivity=1, mode="inner", background=0)
    distance = ndi.distance_transform_edt(inside) + (numbers > 0)
    known = np.unique(numbers)
    deepest = np.zeros(int(numbers.max()) + 1)
    deepest[known] = ndi.maximum(distance, numbers, known)
    core: NDArray[np.bool_] = (numbers > 0) & (distance > DEPTH * deepest[numbers])
    return core
