"""From arrays of any real type to RGB in 0-255, and from RGB to the network's square input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Fit = Literal["pad", "stretch"]
# The values that become black and white.
Window = tuple[float, float]
Intensity = Literal["auto", "percentile", "none"] | Window

# Grey values between these percentiles of the values above zero fill 0-255 (published readers).
LOW_PERCENTILE, HIGH_PERCENTILE = 0.5, 99.5


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
        As :func:`check_image` and :func:`check_window`.
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
        check_window(low, high)
    if (low, high) == (0, 255) and image.dtype == np.uint8:
        scaled = image.astype(np.uint8)
    else:
        span = max(float(high) - float(low), float(np.finfo(np.float32).tiny))
        scaled = ((np.clip(image.astype(np.float64), low, high) - low) / span * 255).astype(np.uint8)
    return np.ascontiguousarray(np.stack([scaled] * 3, axis=-1) if scaled.ndim == 2 else scaled)


def check_window(low: float, high: float) -> None:
    """Refuse what is no range of grey values.

    Raises
    ------
    ImageError
        If a value is infinite or NaN, or the lower one does not come first.
    """
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ImageError(f"The window {low:g} to {high:g} has no end; give two numbers.")
    if not low < high:
        raise ImageError(f"The window {low:g} to {high:g} is empty; give the lower value first.")


def _full_range(image: NDArray[np.generic]) -> tuple[float, float] | None:
    known = range_of(image.dtype)
    if known is None and image.dtype.kind == "f" and image.min() >= 0 and image.max() <= 1:
        return 0.0, 1.0
    return known


def range_of(dtype: np.dtype[np.generic]) -> tuple[float, float] | None:
    """Return the values that are black and white in pictures of a type, or None if it has no such convention."""
    return {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0)}.get(dtype.name)


def _percentiles(image: NDArray[np.generic]) -> tuple[float, float]:
    values = GreyValues(image.dtype, image.size)
    values.add(image)
    return values.window()


class GreyValues:
    """The grey values of a plane that comes in parts, for the window of :func:`to_rgb`'s percentiles.

    Values of 8 and 16 bits are counted; of others a regular sample of some four million is kept, which gives the same
    percentiles to a grey level.

    Parameters
    ----------
    dtype
        Of the pixels.
    size
        Number of pixels to come.
    """

    def __init__(self, dtype: np.dtype[np.generic], size: int) -> None:
        self._least = int(np.iinfo(dtype.name).min) if dtype.kind in "iu" and dtype.itemsize <= 2 else None
        self._counts = np.zeros(1 << (8 * dtype.itemsize) if self._least is not None else 0, np.int64)
        self._step = max(1, size // 4_000_000)
        self._samples: list[NDArray[np.float64]] = []
        self._negative = False

    def add(self, part: NDArray[np.generic]) -> None:
        """Take in a part of the plane."""
        if self._least is not None:
            shifted = part.ravel().astype(np.intp) - self._least
            self._counts += np.bincount(shifted, minlength=len(self._counts))
        else:
            self._negative |= bool(part.min() < 0)
            self._samples.append(part.ravel()[:: self._step].astype(np.float64))

    def window(self) -> tuple[float, float]:
        """Return the 0.5 and 99.5 percentile of the values above zero, of all values where some are negative."""
        low, high = self._counted() if self._least is not None else self._sampled()
        if low == high:
            low = min(low, 0.0)
        return low, high

    def _counted(self) -> tuple[float, float]:
        counts = self._counts
        first = -int(self._least or 0)
        if not counts[:first].any():
            counts = counts.copy()
            counts[: first + 1] = 0
        ends = counts.cumsum()
        if not ends[-1]:
            return 0.0, 1.0
        found = []
        for percentile in (LOW_PERCENTILE, HIGH_PERCENTILE):
            # Between the two nearest values, as numpy's percentiles are.
            place = percentile / 100 * (int(ends[-1]) - 1)
            below, above = np.searchsorted(ends, [np.floor(place), np.ceil(place)], side="right") - first
            found.append(float(below + (above - below) * (place % 1)))
        return found[0], found[1]

    def _sampled(self) -> tuple[float, float]:
        values = np.concatenate(self._samples)
        values = values if self._negative else values[values > 0]
        if values.size == 0:
            return 0.0, 1.0
        low, high = np.percentile(values, [LOW_PERCENTILE, HIGH_PERCENTILE])
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


def lay(
    rgb: NDArray[np.uint8], size: int, fit: Fit, zoom: float | None = None, mirror: bool = False
) -> tuple[NDArray[np.float32], Frame]:
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
    mirror
        Whether what does not fill the input is surrounded by its mirror images instead of zeros: alone on black, a
        piece without objects looks like one itself.

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
    rows = (frame.top, size - frame.top - frame.height)
    columns = (frame.left, size - frame.left - frame.width)
    canvas = np.pad(resized.astype(np.float32), (rows, columns, (0, 0)), mode="symmetric" if mirror else "constant")
    return np.ascontiguousarray(canvas.transpose(2, 0, 1)), frame
