"""Between the viewer's world and a layer's pixels, with the units of both, and how large pixels are in the world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import Affine
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer


def world_to_data(viewer: ViewerModel, layer: Layer, point: ArrayLike) -> NDArray[np.float64]:
    """Return where a point of the viewer's world lies in a layer's data.

    Parameters
    ----------
    viewer
        The point is given in its units, which a layer's own need not be.
    layer
        The layer; of a point with more coordinates than it has dimensions, the last count.
    point
        Such as where the sliders stand.
    """
    world = np.asarray(point, float)[-layer.ndim :]
    return np.asarray(layer.world_to_data(world * _share(viewer, layer)[-len(world) :]), float)


def data_to_world(viewer: ViewerModel, layer: Layer, point: ArrayLike) -> NDArray[np.float64]:
    """Return where a point of a layer's data lies in the viewer's world; undoes :func:`world_to_data`."""
    return np.asarray(layer.data_to_world(np.asarray(point, float)), float) / _share(viewer, layer)


def pixel_sizes(image: Image) -> NDArray[np.float64]:
    """Return how far a step of one pixel along each axis of an image leads in the world, in the image's units."""
    # Not from images of two pixels, whose difference loses digits where the image lies far from the origin.
    placed = Affine(scale=image.scale, rotate=image.rotate, shear=image.shear)
    matrix = image.affine.linear_matrix @ placed.linear_matrix
    return np.asarray(np.linalg.norm(matrix, axis=0), float)


def _share(viewer: ViewerModel, layer: Layer) -> NDArray[np.float64]:
    """Return how many of a layer's units one of the viewer's is, along each of the layer's axes."""
    # As in napari's slicing: a viewer has units only where those of its layers are of the same kinds.
    units, own = getattr(viewer.dims, "units", None), layer.units
    if units is None or len(units) < len(own):
        return np.ones(layer.ndim)
    pairs = zip(units[-len(own) :], own, strict=True)
    return np.array([1.0 if one == other else _base(one) / _base(other) for one, other in pairs])


def _base(unit: Any) -> float:
    return float((1 * unit).to_base_units().magnitude)
