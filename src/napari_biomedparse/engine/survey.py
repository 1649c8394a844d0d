"""Look over a plane that is too large to be held, for what must be known of it before parts of it are shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.measure import block_reduce

from napari_biomedparse.engine.preprocess import GreyValues, Window, range_of, to_rgb
from napari_biomedparse.engine.selection import Place
from napari_biomedparse.engine.stack import Part, Stack

# Longest side of the overview in pixels: twice that of the largest network's input.
OVERVIEW = 2048
# Pixels read at once.
STRIP = 1 << 26


@dataclass(frozen=True)
class Survey:
    """What holds for a whole plane.

    Attributes
    ----------
    windows
        Of each channel that is read: the values that become black and white.
    overview
        uint8 (h, w, 3): the plane as the network is to see it, reduced to 2048 pixels at most.
    """

    windows: tuple[Window, ...]
    overview: NDArray[np.uint8]

    def picture(self, stack: Stack, place: Place, part: Part | None = None) -> NDArray[np.uint8]:
        """Return a part of the plane as the network is to see it, uint8 (h, w, 3).

        Raises
        ------
        ImageError
            If it is not an image.
        """
        return _picture(stack, stack.values(place, part), self.windows)


def survey(stack: Stack, place: Place) -> Survey:
    """Look over a plane, some rows at a time.

    The windows are those that :func:`~napari_biomedparse.engine.preprocess.to_rgb` takes for the whole plane.

    Raises
    ------
    ImageError
        If it is not an image that can be parsed.
    """
    height, width = stack.plane_shape
    factor = -(-max(height, width) // OVERVIEW)
    rows = max(factor, STRIP // width // factor * factor)
    counted: list[GreyValues] = []
    extremes: list[tuple[float, float]] = []
    reduced: list[list[NDArray[np.generic]]] = []
    for top in range(0, height, rows):
        planes = stack.values(place, (slice(top, min(height, top + rows)), slice(0, width)))
        if not counted:
            counted = [GreyValues(plane.dtype, height * width * (3 if plane.ndim == 3 else 1)) for plane in planes]
        for values, plane in zip(counted, planes, strict=True):
            values.add(plane[..., :3] if plane.ndim == 3 else plane)
        found = [(float(plane.min()), float(plane.max())) for plane in planes]
        extremes = [
            (min(one[0], now[0]), max(one[1], now[1])) for one, now in zip(extremes or found, found, strict=True)
        ]
        reduced.append([_reduce(plane, factor) for plane in planes])
    kind, colour = planes[0].dtype, planes[0].ndim == 3
    windows: tuple[Window, ...] = tuple(
        # Where nearly all pixels have one value below zero, all are black.
        window if window[0] < window[1] else (greatest, greatest + 1)
        for window, (_, greatest) in zip((values.window() for values in counted), extremes, strict=True)
    )
    if stack.mixes:
        chosen = [channel.window for channel in stack.selection.channels]
        windows = tuple(own or window for own, window in zip(chosen, windows, strict=True))
    elif colour and (range_of(kind) or (kind.kind == "f" and extremes[0][0] >= 0 and extremes[0][1] <= 1)):
        windows = (range_of(kind) or (0.0, 1.0),)
    whole = [np.concatenate(strips) for strips in zip(*reduced, strict=True)]
    return Survey(windows, _picture(stack, whole, windows))


def _reduce(plane: NDArray[np.generic], factor: int) -> NDArray[np.generic]:
    if factor == 1:
        return plane
    sides = (factor, factor) + (1,) * (plane.ndim - 2)
    means = block_reduce(plane, sides, np.mean, cval=float(plane.mean()))
    return np.asarray(np.rint(means) if plane.dtype.kind in "iu" else means).astype(plane.dtype)


def _picture(stack: Stack, planes: list[NDArray[np.generic]], windows: tuple[Window, ...]) -> NDArray[np.uint8]:
    if stack.mixes:
        mixed: NDArray[np.uint8] = to_rgb(stack.mix(planes, windows))
        return mixed
    return to_rgb(planes[0], windows[0])
