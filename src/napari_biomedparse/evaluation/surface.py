"""How far the outlines of two masks are apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_biomedparse.engine.shape import box_of


def assd(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float | None:
    """Return the average symmetric surface distance in pixels, None where it is not defined.

    The distances from each outline pixel of one mask to the nearest of the other, both ways, are added up and divided
    by the number of all outline pixels (Heimann et al., IEEE Trans. Med. Imaging 28, 1251-1265, 2009). An outline
    pixel has a neighbour outside, above, below, left or right; beyond the image is outside.

    Parameters
    ----------
    found, truth
        bool (H, W). Where one is empty there is no distance; where both are, it is 0.
    """
    place = box_of(found | truth)
    if place is None:
        return 0.0
    if not found.any() or not truth.any():
        return None
    one, two = _outline(found[place]), _outline(truth[place])
    there = ndi.distance_transform_edt(~two)[one]
    back = ndi.distance_transform_edt(~one)[two]
    return float((there.sum() + back.sum()) / (there.size + back.size))


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    outline: NDArray[np.bool_] = mask & ~ndi.binary_erosion(mask)
    return outline
