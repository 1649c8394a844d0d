"""An image of any dimension, read plane by plane; labels of its shape, written plane by plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from napari_biomedparse.engine.channels import Channel, mix
from napari_biomedparse.engine.frames import Frames
from napari_biomedparse.engine.preprocess import ImageError, check_image, check_width
from napari_biomedparse.engine.selection import COLOURS, Place, Selection
from napari_biomedparse.ontology import Scale

# Micrometres per pixel near which cells were photographed in most training images (40x to 20x objectives).
CELL_PIXEL = 0.5
# Rows and columns of the selected part of a plane.
Part = tuple[slice, slice]


@dataclass(frozen=True)
class Stack:
    """What is selected of an image.

    Parameters
    ----------
    levels
        The image, or a pyramid of it, finest first: anything that has a shape, a dtype and basic indexing. Only the
        planes asked for are read.
    selection
        What is parsed of it.
    name
        For messages.
    apart
        Of an image without an axis of channels: the levels of each channel, where these are images of their own. They
        have the shapes of ``levels``, which is one of them.

    Raises
    ------
    ImageError
        If the image has no pixels, or not the axes, channels or levels that are selected.
    """

    levels: tuple[Any, ...]
    selection: Selection
    name: str = "The image"
    apart: tuple[tuple[Any, ...], ...] = ()

    def __post_init__(self) -> None:
        wanted = self.selection
        if not 0 <= wanted.level < len(self.levels):
            raise ImageError(f"{self.name} has {len(self.levels)} levels, so there is no level {wanted.level}.")
        shape = tuple(self.array.shape)
        if len(shape) != len(wanted.axes) + wanted.rgb:
            colours = " and colours" if wanted.rgb else ""
            raise ImageError(f"{self.name} has the shape {shape}, which does not fit the axes {wanted.axes}{colours}.")
        if 0 in shape:
            raise ImageError(f"{self.name} has no pixels: its shape is {shape}.")
        shapes = [tuple(level.shape) for level in self.levels]
        if self.apart and ("C" in wanted.axes or max(self._channels) >= len(self.apart)):
            raise ImageError(f"{self.name} does not have the channels that are selected; choose them again.")
        if any([tuple(level.shape) for level in levels] != shapes for levels in self.apart):
            raise ImageError(f"The channels {self.name} differ in shape; choose others.")
        if "C" in wanted.axes and wanted.channels:
            last = max(channel.index for channel in wanted.channels)
            if last >= shape[wanted.axes.index("C")]:
                raise ImageError(f"{self.name} has no channel {last}; choose its channels again.")

    @property
    def array(self) -> Any:
        """The selected level."""
        return self.levels[self.selection.level]

    def array_of(self, channel: int) -> Any:
        """Return the selected level of the image that holds a channel."""
        return self.apart[channel][self.selection.level] if self.apart else self.array

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the selected level, without colours."""
        return tuple(self.array.shape[: len(self.selection.axes)])

    @property
    def downsampling(self) -> dict[str, float]:
        """How many pixels of the finest level one of the selected level spans along each axis."""
        # Of colours the levels have an axis more.
        pairs = zip(self.selection.axes, self.levels[0].shape, self.shape, strict=False)
        return {letter: finest / own for letter, finest, own in pairs}

    def spacing(self, finest: Mapping[str, float]) -> dict[str, float]:
        """Return sizes of the selected level's pixels from those of the finest one's, along the axes that there are."""
        factors = self.downsampling
        return {letter: size * factors[letter] for letter, size in finest.items() if letter in factors}

    @property
    def solid(self) -> bool:
        """Whether several sections are parsed, so that pixels are voxels."""
        chosen = self.selection
        every = "Z" in chosen.free and chosen.at.get("Z") is None
        return every and self.shape[chosen.axes.index("Z")] > 1

    def has_volumes(self, instances: bool, link: bool) -> bool:
        """Whether what has one label is measured as a volume; otherwise it has an area on each plane.

        Separate objects that are not linked have another label on each section.

        Parameters
        ----------
        instances
            Whether separate objects have labels of their own.
        link
            Whether they keep them from section to section.
        """
        return self.solid and (link or not instances)

    def places(self) -> list[Place]:
        """Return the planes to parse."""
        return self.selection.places(self.shape)

    @property
    def plane_shape(self) -> tuple[int, int]:
        """Height and width of the selected part of the planes, in pixels."""
        rows, columns = self.selection.part(self.shape)
        return rows.stop - rows.start, columns.stop - columns.start

    @property
    def pixels(self) -> int:
        """Pixels of the planes to parse."""
        height, width = self.plane_shape
        return len(self.places()) * height * width

    def lazy(self, place: Place, part: Part | None = None) -> list[Any]:
        """Return the selected part of a plane, or a part of that, of each channel, without computing what is lazy."""
        rows, columns = self.selection.part(self.shape)
        if part is not None:
            inner_rows, inner_columns = part
            rows = slice(rows.start + inner_rows.start, rows.start + inner_rows.stop)
            columns = slice(columns.start + inner_columns.start, columns.start + inner_columns.stop)
        part = rows, columns
        chosen = self.selection
        if chosen.rgb:
            index = chosen.index(place, 0, part)
            colours = [self.array[(*index, channel.index)] for channel in chosen.channels]
            return colours or [self.array[index]]
        return [self.array_of(channel)[chosen.index(place, channel, part)] for channel in self._channels]

    def read(self, place: Place) -> NDArray[np.generic]:
        """Return the selected part of a plane as the model is to see it, (h, w) or (h, w, 3 or 4), rows first.

        Raises
        ------
        ImageError
            If it is not an image that can be parsed.
        """
        planes = self.values(place)
        return self.mix(planes) if self.mixes else planes[0]

    @property
    def mixes(self) -> bool:
        """Whether channels are mixed; otherwise the first one's values are the picture."""
        return self.selection.channels not in ((), (Channel(self._channels[0], None),))

    def values(self, place: Place, part: Part | None = None) -> list[NDArray[np.generic]]:
        """Return the pixels of the selected part of a plane, or a part of that, of each channel, rows first.

        Raises
        ------
        ImageError
            If they are no pixels of an image.
        """
        planes = [np.asarray(lazy) for lazy in self.lazy(place, part)]
        if self.selection.transposed:
            planes = [plane.swapaxes(0, 1) for plane in planes]
        try:
            for plane in planes:
                check_width(plane.dtype)
                check_image(plane)
        except ImageError as error:
            raise ImageError(f"{self.name}: {error}") from None
        return planes

    def mix(
        self, planes: Sequence[NDArray[np.generic]], windows: Sequence[tuple[float, float] | None] = ()
    ) -> NDArray[np.uint8]:
        """Return the picture of some pixels of all channels, by other windows than the channels' own if given."""
        channels = self.selection.channels
        if windows:
            channels = tuple(replace(channel, window=window) for channel, window in zip(channels, windows, strict=True))
        try:
            return mix(planes, channels)
        except ImageError as error:
            raise ImageError(f"{self.name}: {error}") from None

    def channel_names(self, known: Sequence[str] = ()) -> list[str]:
        """Return a name for each channel of the image, of colours for each of them.

        Parameters
        ----------
        known
            Those of the file, in its order; empty where it gives none.
        """
        if self.selection.rgb:
            return list(COLOURS)
        axes = self.selection.axes
        count = len(self.apart) or (self.shape[axes.index("C")] if "C" in axes else 1)
        return [channel_name(n, known) for n in range(count)]

    def read_names(self, known: Sequence[str] = ()) -> list[str]:
        """Return the names of the channels, or colours, that :meth:`values` reads."""
        names = self.channel_names(known)
        every = self.selection.rgb and not self.selection.channels
        return names if every else [names[n] for n in self._channels]

    def intensities(self, known: Sequence[str] = ()) -> dict[str, Frames]:
        """Return the pixels of each channel of the image, by the names of :meth:`channel_names`."""
        axes, names = self.selection.axes, self.channel_names(known)
        if self.selection.rgb:
            return {name: Frames(self.array, f"{axes}S", {"S": n}) for n, name in enumerate(names)}
        at = "C" if "C" in axes else ""
        return {name: Frames(self.array_of(n), axes, dict.fromkeys(at, n)) for n, name in enumerate(names)}

    def blank(self, dtype: type[np.integer[Any]]) -> NDArray[np.integer[Any]]:
        """Return an array of zeros for labels, of :attr:`shape`; all channels share the same memory."""
        axes, shape = self.selection.axes, self.shape
        once = np.zeros([1 if letter == "C" else side for letter, side in zip(axes, shape, strict=True)], dtype)
        strides = [0 if letter == "C" else step for letter, step in zip(axes, once.strides, strict=True)]
        return as_strided(once, shape, strides) if "C" in axes else once

    def write(self, data: NDArray[np.integer[Any]], place: Place, values: NDArray[np.integer[Any]]) -> None:
        """Set the selected part of a plane of :meth:`blank`'s array to labels (h, w), rows first."""
        at = self.selection.index(place, 0, self.selection.part(self.shape))
        data[at] = values.T if self.selection.transposed else values

    @property
    def _channels(self) -> list[int]:
        return [channel.index for channel in self.selection.channels] or [0]


def channel_name(number: int, known: Sequence[str] = ()) -> str:
    """Return the name of a channel, from 0: that among the known ones of its file, else ``"channel_0"`` and so on."""
    return known[number] if number < len(known) else f"channel_{number}"


def choose_level(
    shapes: Sequence[tuple[int, int]], scales: Sequence[Scale], input_size: int, pixel: float | None = None
) -> int:
    """Return the level of a pyramid that suits what is looked for.

    Parameters
    ----------
    shapes
        Heights and widths of the planes, finest level first.
    scales
        Of the objects looked for. Organs need no more pixels than the network's input has; smaller objects are looked
        for where a pixel is nearest to 0.5 micrometres and not much more, or on the finest level if that is not known.
    input_size
        Side of the network's input in pixels.
    pixel
        Side of the finest level's pixels in micrometres, if known.
    """
    last = len(shapes) - 1
    if all(scale == "organ" for scale in scales):
        return max((n for n in range(last + 1) if max(shapes[n]) >= input_size), default=0)
    if pixel is None:
        return 0
    sides = [pixel * max(shapes[0]) / max(shape) for shape in shapes]
    return max((n for n in range(last + 1) if sides[n] <= CELL_PIXEL * 1.5), default=0)
