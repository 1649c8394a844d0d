"""Lay planes and their masks into the square that is written."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.transform import resize

from napari_biomedparse.engine.preprocess import Frame, Intensity, frame_of, lay, to_rgb

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
    laid, _ = lay(rgb, size, "pad")
    return laid.transpose(1, 2, 0).astype(np.uint8)


def fit_mask(mask: NDArray[np.bool_], size: int | None, square: tuple[int, int] | None = None) -> NDArray[np.bool_]:
    """Lay a mask as :func:`fit_image` lays its image; a pixel is in it if half of its area is."""
    mask = _with_square_pixels(mask, square)
    if size is None:
        return mask
    frame = frame_of((mask.shape[0], mask.shape[1]), size, "pad")
    covered = np.asarray(
        Image.fromarray(mask.astype(np.uint8) * 255).resize((frame.width, frame.height), Image.Resampling.BOX)
    )
    return _placed(covered >= 128, frame, size)


def fit_numbers(
    numbers: NDArray[np.integer], size: int | None, square: tuple[int, int] | None = None
) -> NDArray[np.uint16]:
    """Lay numbered objects as :func:`fit_image` lays their image, each pixel with the nearest number, from 1 on.

    Raises
    ------
    ValueError
        If there are more objects than 16 bits number.
    """
    found, order = np.unique(numbers, return_inverse=True)
    first = int(found[0] != 0)
    if len(found) + first > 1 << 16:
        raise ValueError(f"{len(found)} objects are more than a 16-bit image can number; cut the image into parts.")
    values = _with_square_pixels((order + first).astype(np.uint16).reshape(numbers.shape), square)
    if size is None:
        return values
    frame = frame_of((values.shape[0], values.shape[1]), size, "pad")
    rows = ((np.arange(frame.height) + 0.5) * values.shape[0] / frame.height).astype(int)
    columns = ((np.arange(frame.width) + 0.5) * values.shape[1] / frame.width).astype(int)
    return _placed(values[np.ix_(rows, columns)], frame, size)


def _with_square_pixels(pixels: NDArray[T], square: tuple[int, int] | None, order: int = 0) -> NDArray[T]:
    """Return a plane of this height and width; by ``order`` 0 with the nearest values, by 1 with those between too."""
    if square in (None, pixels.shape[:2]):
        return pixels
    shape = (*square, *pixels.shape[2:])
    values: NDArray[Any] = resize(pixels, shape, order, preserve_range=True, anti_aliasing=False)
    return values.round().astype(pixels.dtype)


def _placed(part: NDArray[T], frame: Frame, size: int) -> NDArray[T]:
    canvas = np.zeros((size, size), part.dtype)
    canvas[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width] = part
    return canvas
