"""Lay planes and their masks into the square that is written."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.transform import resize

from napari_biomedparse.engine.preprocess import Intensity, frame_of, lay, to_rgb
from napari_biomedparse.errors import SettingError

T = TypeVar("T", bound=np.generic)


def fit_image(
    plane: NDArray[np.generic], intensity: Intensity, size: int | None, square: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """Bring a plane to RGB and lay it into a square, padded with zeros.

    Parameters
    ----------
    plane
        (H, W) or (H, W, 3 or 4) of any real type.
    intensity
        How values become 0-255, as for :func:`~napari_biomedparse.engine.preprocess.to_rgb`.
    size
        Side of the square in pixels; None keeps height and width.
    square
        Height and width where its pixels are square; by default they are.

    Returns
    -------
    ndarray
        uint8 (size, size, 3), or (h, w, 3) with square pixels.
    """
    rgb = _with_square_pixels(to_rgb(plane, intensity), square, order=1)
    if size is None:
        return rgb
    laid, _ = lay(rgb, size, "pad", _zoom(rgb, size))
    return laid.transpose(1, 2, 0).astype(np.uint8)


def fit_mask(mask: NDArray[np.bool_], size: int | None, square: tuple[int, int] | None = None) -> NDArray[np.bool_]:
    """Lay a mask as :func:`fit_image` lays its image; a pixel is in it if half of its area is."""
    mask = _with_square_pixels(mask, square)
    if size is None:
        return mask
    rows, columns = _place(mask, size)
    shape = columns.stop - columns.start, rows.stop - rows.start
    covered = np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).resize(shape, Image.Resampling.BOX))
    return _placed(covered >= 128, rows, columns, size)


def fit_numbers(
    numbers: NDArray[np.integer], size: int | None, square: tuple[int, int] | None = None
) -> NDArray[np.uint16]:
    """Lay numbered objects as :func:`fit_image` lays their image, each pixel with the nearest number, from 1 on.

    Raises
    ------
    SettingError
        If there are more objects than 16 bits number.
    """
    found, order = np.unique(numbers, return_inverse=True)
    first = int(found[0] != 0)
    if len(found) + first > 1 << 16:
        raise SettingError(f"{len(found)} objects are more than a 16-bit image can number; cut the image into parts.")
    values = _with_square_pixels((order + first).astype(np.uint16).reshape(numbers.shape), square)
    if size is None:
        return values
    rows, columns = _place(values, size)
    nearest = [
        ((np.arange(part.stop - part.start) + 0.5) * side / (part.stop - part.start)).astype(int)
        for part, side in zip((rows, columns), values.shape, strict=True)
    ]
    return _placed(values[np.ix_(*nearest)], rows, columns, size)


def _with_square_pixels(pixels: NDArray[T], square: tuple[int, int] | None, order: int = 0) -> NDArray[T]:
    """Return a plane of this height and width; by ``order`` 0 with the nearest values, by 1 with those between too."""
    if square in (None, pixels.shape[:2]):
        return pixels
    shape = (*square, *pixels.shape[2:])
    values: NDArray[Any] = resize(pixels, shape, order, preserve_range=True, anti_aliasing=False)
    return values.round().astype(pixels.dtype)


def _zoom(pixels: NDArray[np.generic], size: int) -> float:
    """Return the enlargement at which a plane's longer side fills the square; images and masks lie in whole pixels."""
    return float(size / max(pixels.shape[0], pixels.shape[1]))


def _place(pixels: NDArray[np.generic], size: int) -> tuple[slice, slice]:
    """Return the rows and columns of the square that a plane covers."""
    frame = frame_of((pixels.shape[0], pixels.shape[1]), size, "pad", _zoom(pixels, size))
    top, left = int(frame.top), int(frame.left)
    return slice(top, top + int(frame.height)), slice(left, left + int(frame.width))


def _placed(part: NDArray[T], rows: slice, columns: slice, size: int) -> NDArray[T]:
    canvas = np.zeros((size, size), part.dtype)
    canvas[rows, columns] = part
    return canvas
