"""From arrays of any real type to RGB in 0-255, and from RGB to the network's square input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Fit = Literal["pad", "stretch"]
Intensity = Literal["auto", "percentile", "none"] | tuple[float, float]

# Grey values between these percentiles of the values above zero fill 0-255 (published readers).
LOW_PERCENTILE, HIGH_PERCENTILE = 0.5, 99.5

# Hounsfield windows by site (published readers).
CT_WINDOWS: dict[str, tuple[float, float]] = {
    "abdomen": (-150, 250),
    "lung": (-1000, 1000),
    "pelvis": (-55, 200),
    "liver": (-25, 230),
    "colon": (-68, 187),
    "pancreas": (-100, 200),
}


class ImageError(ValueError):
    """An image that cannot be segmented; the message says why and what to do."""


def check_image(image: NDArray[np.generic]) -> None:
    """Refuse what is not an image.

    Raises
    ------
    ImageError
        If the array is not (H, W) or (H, W, 3 or 4), is empty, is boolean, complex or not numeric, or holds
        NaN or infinite values.
    """
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[-1] not in (3, 4)):
        raise ImageError(
            f"An image must be (height, width) or (height, width, 3), not {image.shape}; pass one plane at a time."
        )
    if 0 in image.shape:
        raise ImageError(f"The image has no pixels: its shape is {image.shape}.")
    if image.dtype.kind == "b":
        raise ImageError("The image is boolean: that is a mask. Pass the image it was made from.")
    if image.dtype.kind not in "uif":
        raise ImageError(f"Pixels of type {image.dtype} are not real numbers; convert the image to float32 or uint16.")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise ImageError("The image has NaN or infinite values; replace them first, for example with numpy.nan_to_num.")


def check_width(dtype: np.dtype[np.generic]) -> None:
    """Refuse 64-bit pixels: in files and layers they are labels or raw computed values, not grey values.

    Raises
    ------
    ImageError
        If the type is wider than 32 bits.
    """
    if dtype.kind in "iuf" and dtype.itemsize > 4:
        raise ImageError(f"The image is 64-bit ({dtype}); convert it to float32 or uint16 first.")


def to_rgb(image: NDArray[np.generic], intensity: Intensity = "auto") -> NDArray[np.uint8]:
    """Bring an image to RGB in 0-255.

    Parameters
    ----------
    image
        (H, W) or (H, W, 3 or 4) of any real type; an alpha channel is dropped.
    intensity
        How values become 0-255. ``"percentile"``: the 0.5 to 99.5 percentile of the values above zero (of all values
        where some are negative). ``"none"``: the range of the type (8 and 16 bit), or 0-1 for floats within it.
        A pair: that window, as for CT. ``"auto"``: ``"percentile"`` for grey images and for colour without a
        natural range, ``"none"`` for other colour images.

    Returns
    -------
    ndarray
        uint8 (H, W, 3).

    Raises
    ------
    ImageError
        As :func:`check_image`, or if a window is empty.
    """
    check_image(image)
    if image.ndim == 3:
        image = image[..., :3]
    full = _full_range(image)
    if intensity == "auto":
        intensity = "none" if image.ndim == 3 and full is not None else "percentile"
    if intensity == "none":
        low, high = full or _percentiles(image)
    elif intensity == "percentile":
        low, high = _percentiles(image)
    else:
        low, high = intensity
        if not low < high:
            raise ImageError(f"The intensity window {low} to {high} is empty; give the lower value first.")
    if (low, high) == (0, 255) and image.dtype == np.uint8:
        scaled = image.astype(np.uint8)
    else:
        span = max(float(high) - float(low), float(np.finfo(np.float32).tiny))
        scaled = ((np.clip(image.astype(np.float64), low, high) - low) / span * 255).astype(np.uint8)
    return np.ascontiguousarray(np.stack([scaled] * 3, axis=-1) if scaled.ndim == 2 else scaled)


def _full_range(image: NDArray[np.generic]) -> tuple[float, float] | None:
    if image.dtype in (np.uint8, np.uint16):
        return 0.0, 255.0 if image.dtype == np.uint8 else 65535.0
    if image.dtype.kind == "f" and image.min() >= 0 and image.max() <= 1:
        return 0.0, 1.0
    return None


def _percentiles(image: NDArray[np.generic]) -> tuple[float, float]:
    values = image[image > 0] if image.min() >= 0 else image.ravel()  # type: ignore[operator]
    if values.size == 0:
        return 0.0, 1.0
    # Past some four million values a regular sample gives the same percentiles to a grey level.
    values = values[:: max(1, values.size // 4_000_000)]
    low, high = np.percentile(values.astype(np.float64), [LOW_PERCENTILE, HIGH_PERCENTILE])
    if low == high:
        low = min(low, 0.0)
    return float(low), float(high)


@dataclass(frozen=True)
class Frame:
    """Where a region of the image lies in the network's square input, in input pixels.

    Attributes
    ----------
    region
        Height and width of the region in image pixels.
    top, left, height, width
        The part of the input it covers; the rest is zero padding.
    """

    region: tuple[int, int]
    top: int
    left: int
    height: int
    width: int


def frame_of(region: tuple[int, int], size: int, fit: Fit, zoom: float | None = None) -> Frame:
    """Return where :func:`lay` puts a region of the given height and width."""
    height, width = region
    if fit == "stretch" and zoom is None:
        inner = (size, size)
    else:
        scale = zoom or size / max(height, width)
        inner = (min(size, max(1, round(height * scale))), min(size, max(1, round(width * scale))))
    return Frame((height, width), (size - inner[0]) // 2, (size - inner[1]) // 2, *inner)


def lay(rgb: NDArray[np.uint8], size: int, fit: Fit, zoom: float | None = None) -> tuple[NDArray[np.float32], Frame]:
    """Resize a region and lay it into the network's input.

    Parameters
    ----------
    rgb
        uint8 (h, w, 3).
    size
        Side of the input in pixels.
    fit
        ``"pad"`` keeps the aspect ratio and pads with zeros on both sides; ``"stretch"`` fills the square.
    zoom
        Enlargement; by default the longer side fills the input.

    Returns
    -------
    tuple
        float32 (3, size, size) in 0-255, and the frame that undoes it.
    """
    frame = frame_of((rgb.shape[0], rgb.shape[1]), size, fit, zoom)
    resized = rgb
    if (frame.height, frame.width) != frame.region:
        # PIL's bicubic is antialiased when shrinking; the published demo resizes with it.
        resized = np.asarray(Image.fromarray(rgb).resize((frame.width, frame.height), Image.Resampling.BICUBIC))
    canvas = np.zeros((size, size, 3), np.float32)
    canvas[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width] = resized
    return np.ascontiguousarray(canvas.transpose(2, 0, 1)), frame
