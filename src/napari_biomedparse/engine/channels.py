"""From one or several grey channels to the RGB picture that the network sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.preprocess import ImageError, to_rgb


@dataclass(frozen=True)
class Channel:
    """How a channel is shown.

    Parameters
    ----------
    index
        Along the axis of channels, from 0.
    window
        Grey values that become black and full colour, the lower first; percentiles of the plane if None, as
        :func:`~napari_biomedparse.engine.preprocess.to_rgb` takes them.
    colour
        Red, green and blue of its highest values, 0-1.
    gamma
        Exponent of the grey values, above 0; below 1 brightens dark ones.

    Raises
    ------
    ImageError
        If the index, colour or gamma is out of its range.
    """

    index: int
    window: tuple[float, float] | None
    colour: tuple[float, float, float] = (1, 1, 1)
    gamma: float = 1.0

    def __post_init__(self) -> None:
        if self.index < 0:
            raise ImageError(f"There is no channel {self.index}; channels are counted from 0.")
        if len(self.colour) != 3 or not all(0 <= part <= 1 for part in self.colour):
            raise ImageError(f"A channel's colour is red, green and blue from 0 to 1, not {self.colour}.")
        if not (self.gamma > 0 and np.isfinite(self.gamma)):
            raise ImageError(f"A channel's gamma must be above 0, not {self.gamma}; 1 leaves the values as they are.")


def mix(planes: Sequence[NDArray[np.generic]], channels: Sequence[Channel]) -> NDArray[np.uint8]:
    """Add the colours of channels up, as napari's additive blending does.

    A single white channel gives what :func:`~napari_biomedparse.engine.preprocess.to_rgb` gives.

    Parameters
    ----------
    planes
        (H, W) of any real type, one for each channel.
    channels
        How each plane is shown.

    Returns
    -------
    ndarray
        uint8 (H, W, 3).

    Raises
    ------
    ImageError
        If there is no channel, the planes are not grey or differ in shape, a window is empty, or a plane is not an
        image (:func:`~napari_biomedparse.engine.preprocess.check_image`).
    """
    if not channels:
        raise ImageError("No channel is chosen; choose at least one.")
    if len(planes) != len(channels):
        raise ImageError(f"There are {len(planes)} planes for {len(channels)} channels; give one plane for each.")
    if any(plane.ndim != 2 for plane in planes):
        raise ImageError("A plane of a channel must be grey, (height, width); colours cannot be mixed again.")
    shapes = list(dict.fromkeys(plane.shape for plane in planes))
    if len(shapes) > 1:
        raise ImageError(f"The channels' planes differ in shape, {shapes[0]} and {shapes[1]}; choose others.")
    greys = [
        to_rgb(plane, "percentile" if channel.window is None else channel.window)[..., 0].copy()
        for plane, channel in zip(planes, channels, strict=True)
    ]
    mixed = np.empty((*shapes[0], 3), np.uint8)
    for part in range(3):
        total = np.zeros(shapes[0], np.float32)
        for grey, channel in zip(greys, channels, strict=True):
            if channel.colour[part]:
                table = 255 * (np.arange(256) / 255) ** channel.gamma * channel.colour[part]
                total += table.astype(np.float32)[grey]
        mixed[..., part] = np.rint(np.minimum(total, 255, out=total), out=total)
    return mixed
