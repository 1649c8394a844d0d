"""From arrays of any real type to RGB in 0-255, and from RGB to the network's square input."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_biomedparse.errors import BiomedParseError, SettingError

Fit = Literal["pad", "stretch"]
# The values that become black and white.
Window = tuple[float, float]
Intensity = Literal["auto", "percentile", "none"] | Window

BICUBIC = Image.Resampling.BICUBIC
# Grey values between these percentiles of the values above zero fill 0-255 (published readers).
LOW_PERCENTILE, HIGH_PERCENTILE = 0.5, 99.5
# Values below zero count where they reach this share of what is above.
SIGNED = 0.1


class ImageError(BiomedParseError):
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
        How values become 0-255. ``"percentile"``: the 0.5 to 99.5 percentile of the values above zero; of all values
        where those below zero count (:meth:`GreyValues.window`). ``"none"``: the range of the type (8 and 16 bit), or
        0-1 for floats within it.
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


def check_fit(fit: str) -> Fit:
    """Return how an image is to fill the network's square.

    Raises
    ------
    SettingError
        If it is none of the ways there are.
    """
    if fit not in get_args(Fit):
        raise SettingError(f"fit must be 'pad' or 'stretch', not {fit!r}.")
    return cast(Fit, fit)


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
        self._negative |= bool(part.min() < 0)
        if self._least is not None:
            shifted = part.ravel().astype(np.intp) - self._least
            self._counts += np.bincount(shifted, minlength=len(self._counts))
        else:
            self._samples.append(part.ravel()[:: self._step].astype(np.float64))

    def window(self) -> tuple[float, float]:
        """Return the 0.5 and 99.5 percentile of the values above zero, as published, or of all values.

        All count where there is none above zero, or where the low percentile of all is as far below zero as a tenth of
        the high one: in raw computed tomography, say. A few values a little below zero, as resampling leaves them, do
        not.
        """
        low, high = self._between(above_zero=True)
        if self._negative:
            lowest, highest = self._between(above_zero=False)
            if high <= 0 or lowest < -SIGNED * high:
                low, high = lowest, highest
        if low == high:
            low = min(low, 0.0)
        return (low, high) if low < high else (0.0, 1.0)

    def _between(self, above_zero: bool) -> tuple[float, float]:
        """Return both percentiles; 0 and 0 where there is no value."""
        if self._least is not None:
            return self._counted(above_zero)
        values = np.concatenate(self._samples)
        values = values[values > 0] if above_zero else values
        if values.size == 0:
            return 0.0, 0.0
        low, high = np.percentile(values, [LOW_PERCENTILE, HIGH_PERCENTILE])
        return float(low), float(high)

    def _counted(self, above_zero: bool) -> tuple[float, float]:
        counts = self._counts
        first = -int(self._least or 0)
        if above_zero:
            counts = counts.copy()
            counts[: first + 1] = 0
        ends = counts.cumsum()
        if not ends[-1]:
            return 0.0, 0.0
        found = []
        for percentile in (LOW_PERCENTILE, HIGH_PERCENTILE):
            # Between the two nearest values, as numpy's percentiles are.
            place = percentile / 100 * (int(ends[-1]) - 1)
            below, above = np.searchsorted(ends, [np.floor(place), np.ceil(place)], side="right") - first
            found.append(float(below + (above - below) * (place % 1)))
        return found[0], found[1]


@dataclass(frozen=True)
class Frame:
    """Where a region of the image lies in the network's square input, in input pixels.

    Attributes
    ----------
    region
        Height and width of the region in image pixels.
    top, left, height, width
        The part of the input it covers, which may begin and end within a pixel; the rest is padding.
    """

    region: tuple[int, int]
    top: float
    left: float
    height: float
    width: float


def frame_of(region: tuple[int, int], size: int, fit: Fit, zoom: float | None = None) -> Frame:
    """Return where :func:`lay` puts a region of the given height and width."""
    height, width = region
    if zoom is not None:
        rows, columns = (min(size, max(1, round(side * zoom))) for side in region)
        return Frame(region, (size - rows) // 2, (size - columns) // 2, rows, columns)
    if fit == "stretch":
        return Frame(region, 0, 0, size, size)
    # As many zeros on both sides, as published: where the sides differ by an odd number, a pixel less than a square.
    rows, columns = ((max(region) - side) // 2 for side in region)
    down, across = size / (height + 2 * rows), size / (width + 2 * columns)
    return Frame(region, rows * down, columns * across, height * down, width * across)


def lay(
    rgb: NDArray[np.uint8], size: int, fit: Fit, zoom: float | None = None, mirror: bool = False
) -> tuple[NDArray[np.float32], Frame]:
    """Resize a region and lay it into the network's input.

    PIL's bicubic resampling, with which the published demo resizes, smooths where it shrinks.

    Parameters
    ----------
    rgb
        uint8 (h, w, 3).
    size
        Side of the input in pixels.
    fit
        ``"pad"`` makes the region a square with zeros on both sides and resizes that; ``"stretch"`` resizes the region.
    zoom
        Enlargement of a tile; it then lies in the middle of the input, in whole pixels. By default the region fills the
        input as ``fit`` says.
    mirror
        Whether a tile that does not fill the input is surrounded by its mirror images instead of zeros: alone on black,
        a piece without objects looks like one itself.

    Returns
    -------
    tuple
        float32 (3, size, size) in 0-255, and the frame that undoes it.
    """
    frame = frame_of((rgb.shape[0], rgb.shape[1]), size, fit, zoom)
    square = _resized_square(rgb, size, frame) if zoom is None else _placed_tile(rgb, size, frame, mirror)
    return np.ascontiguousarray(square.transpose(2, 0, 1)), frame


def _placed_tile(rgb: NDArray[np.uint8], size: int, frame: Frame, mirror: bool) -> NDArray[np.float32]:
    top, left, height, width = map(int, (frame.top, frame.left, frame.height, frame.width))
    if (height, width) != frame.region:
        rgb = np.asarray(Image.fromarray(rgb).resize((width, height), BICUBIC))
    around = ((top, size - top - height), (left, size - left - width), (0, 0))
    return np.pad(rgb.astype(np.float32), around, mode="symmetric" if mirror else "constant")


def _resized_square(rgb: NDArray[np.uint8], size: int, frame: Frame) -> NDArray[np.float32]:
    """Return what resizing the padded square gives, of whose zeros only those next to the region are made."""
    rows, columns = (
        _strip(side, start, length)
        for side, start, length in zip(frame.region, (frame.top, frame.left), (frame.height, frame.width), strict=True)
    )
    padded = np.pad(rgb, ((rows.zeros, rows.zeros), (columns.zeros, columns.zeros), (0, 0)))
    box = (columns.start, rows.start, padded.shape[1] - columns.start, padded.shape[0] - rows.start)
    shape = (size - 2 * columns.first, size - 2 * rows.first)
    square = np.zeros((size, size, 3), np.float32)
    square[rows.first : size - rows.first, columns.first : size - columns.first] = np.asarray(
        Image.fromarray(padded).resize(shape, BICUBIC, box=box)
    )
    return square


class _Strip(NamedTuple):
    """Along one axis: zeros before the region, where the resized part begins among them, its first input pixel."""

    zeros: int
    start: float
    first: int


def _strip(side: int, start: float, length: float) -> _Strip:
    step = side / length
    # Image pixels to either side that a bicubic kernel reads.
    reach = 2 * max(step, 1.0)
    first = max(0, math.floor(start - reach / step))
    before = (start - first) * step
    zeros = min(round(start * step), math.ceil(before + reach))
    return _Strip(zeros, zeros - before if first else 0.0, first)
