"""From a layer to the plane on the screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.measure import PixelSize
from napari_biomedparse.engine.preprocess import ImageError, check_image, check_width

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

Index = tuple[int | slice, ...]


@dataclass(frozen=True)
class Plane:
    """The plane of a layer that the viewer shows.

    Attributes
    ----------
    layer
        The layer; of a multiscale layer the finest level is meant.
    index
        Where the plane lies in the layer's data, without a colour axis.
    transposed
        Whether the viewer shows the later of the plane's two axes first.
    """

    layer: Image
    index: Index
    transposed: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the layer's data at its finest level, without a colour axis."""
        return tuple(_finest(self.layer).shape[: self.layer.ndim])

    def lazy(self) -> Any:
        """Return the plane's data without computing it, where the layer's array is lazy."""
        return _finest(self.layer)[self.index]

    def read(self, lazy: Any) -> NDArray[np.generic]:
        """Compute :meth:`lazy`'s result, (H, W) or (H, W, 3 or 4) as shown.

        Raises
        ------
        ImageError
            If it is not an image that can be segmented.
        """
        pixels: NDArray[np.generic] = np.asarray(lazy)
        if self.transposed:
            pixels = pixels.swapaxes(0, 1)
        try:
            check_width(pixels.dtype)
            check_image(pixels)
        except ImageError as error:
            raise ImageError(f"{self.layer.name}: {error}") from None
        return pixels

    def write(self, data: NDArray[np.generic], values: NDArray[np.int32]) -> None:
        """Set the plane of ``data``, an array of :attr:`shape`, to ``values`` (H, W) as shown."""
        data[self.index] = values.T if self.transposed else values

    def embed(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return places of the plane, rows and columns as shown (N, 2), as places in the layer's data (N, ndim)."""
        places = np.empty((len(points), len(self.index)))
        axes = [axis for axis, part in enumerate(self.index) if isinstance(part, slice)]
        for axis, part in enumerate(self.index):
            if not isinstance(part, slice):
                places[:, axis] = part
        places[:, axes[::-1] if self.transposed else axes] = points
        return places

    @property
    def pixel_size(self) -> PixelSize | None:
        """Physical size of the plane's pixels, or None if the layer is measured in pixels."""
        axes = [axis for axis, part in enumerate(self.index) if isinstance(part, slice)]
        if self.transposed:
            axes.reverse()
        units = {str(self.layer.units[axis]) for axis in axes}
        if len(units) != 1 or units == {"pixel"}:
            return None
        y, x = (float(self.layer.scale[axis]) for axis in axes)
        return PixelSize(y, x, units.pop())


def _finest(layer: Image) -> Any:
    return layer.data[0] if layer.multiscale else layer.data


def shown_plane(viewer: ViewerModel, layer: Image) -> Plane:
    """Return the plane of ``layer`` that the viewer's sliders stand at; in 3D view, its last two shown axes.

    Raises
    ------
    ImageError
        If the layer has no pixels or no plane there.
    """
    shape = _finest(layer).shape[: layer.ndim]
    if 0 in shape:
        raise ImageError(f"{layer.name} has no pixels: its shape is {tuple(shape)}.")
    missing = viewer.dims.ndim - layer.ndim
    shown = [axis - missing for axis in viewer.dims.displayed[-2:]]
    if min(shown) < 0:
        raise ImageError(f"{layer.name} has no plane along the axes on the screen; show its own last two axes.")
    place = np.asarray(layer.world_to_data(viewer.dims.point))[-layer.ndim :]
    index: list[int | slice] = []
    for axis, (length, position) in enumerate(zip(shape, place, strict=True)):
        if axis in shown:
            index.append(slice(None))
            continue
        at = round(float(position))
        if not 0 <= at < length:
            raise ImageError(f"{layer.name} has no plane at this position of the sliders; move them into the image.")
        index.append(at)
    return Plane(layer, tuple(index), transposed=shown[0] > shown[1])
