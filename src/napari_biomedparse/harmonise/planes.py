"""Lay planes and their masks into the square that is written."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_biomedparse.engine.preprocess import Frame, Intensity, frame_of, lay, to_rgb

T = TypeVar("T", bound=np.generic)


def fit_image(plane: NDArray[np.generic], intensity: Intensity, size: int | None) -> NDArray[np.uint8]:
    """Bring a plane to RGB and lay it into a square, padded with zeros.

    Parameters
    ----------
    plane
        (H, W) or (H, W, 3 or 4) of any real type.
    intensity
        How values become 0-255, as for :func:`~napari_biomedparse.engine.preprocess.to_rgb`.
    size
        Side of the square in pixels; None keeps height and width.

    Returns
    -------
    ndarray
        uint8 (size, size, 3), or (H, W, 3).
    """
    rgb = to_rgb(plane, intensity)
    if size is None:
        return rgb
    laid, _ = lay(rgb, size, "pad")
    return laid.transpose(1, 2, 0).astype(np.uint8)


def fit_mask(mask: NDArray[np.bool_], size: int | None) -> NDArray[np.bool_]:
    """Lay a mask as :func:`fit_image` lays its image; a pixel is in it if half of its area is."""
    if size is None:
        return mask
    frame = frame_of((mask.shape[0], mask.shape[1]), size, "pad")
    covered = np.asarray(
        Image.fromarray(mask.astype(np.uint8) * 255).resize((frame.width, frame.height), Image.Resampling.BOX)
    )
    return _placed(covered >= 128, frame, size)


def fit_numbers(numbers: NDArray[np.integer], size: int | None) -> NDArray[np.uint16]:
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
    values: NDArray[np.uint16] = (order + first).astype(np.uint16).reshape(numbers.shape)
    if size is None:
        return values
    frame = frame_of((numbers.shape[0], numbers.shape[1]), size, "pad")
    rows = ((np.arange(frame.height) + 0.5) * numbers.shape[0] / frame.height).astype(int)
    columns = ((np.arange(frame.width) + 0.5) * numbers.shape[1] / frame.width).astype(int)
    return _placed(values[np.ix_(rows, columns)], frame, size)


def _placed(part: NDArray[T], frame: Frame, size: int) -> NDArray[T]:
    canvas = np.zeros((size, size), part.dtype)
    canvas[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width] = part
    return canvas
