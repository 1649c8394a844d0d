"""What of an image of any dimension is parsed: which planes, which part of them, which channels."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon2mask

from napari_biomedparse.engine.axes import Axes, AxesError
from napari_biomedparse.engine.channels import Channel
from napari_biomedparse.engine.preprocess import ImageError

# Indices along a selection's free axes, in their order.
Place = tuple[int, ...]
# Top, left, bottom and right in pixels of the plane as shown; the latter two are outside.
Region = tuple[int, int, int, int]
Outline = tuple[tuple[float, float], ...]
# The channels of an image in colours.
COLOURS = ("red", "green", "blue")


@dataclass(frozen=True)
class Selection:
    """What of an image is parsed.

    Parameters
    ----------
    axes
        What the array's axes are, a letter of T, C, Z, Y, X each, without an RGB axis.
    rgb
        Whether a last axis of length 3 or 4 holds colours.
    rows, columns
        The axes of the planes, as shown.
    at
        Index along each of the other axes but C; None for all of them.
    level
        Of a multiscale image; 0 is the finest.
    region
        The part of each plane, in pixels of the level; the whole plane by default.
    outlines
        Polygons (row, column), in pixels of the level's plane: labels lie inside of any; everywhere by default.
    channels
        What is mixed into the picture that the model sees. By default the grey values or colours as they are, and of
        several channels the first. Those of an image in colours are its red (0), green (1) and blue (2).

    Raises
    ------
    AxesError
        If the axes do not fit together.
    ImageError
        If a colour is selected that there is not.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic reads it)

    axes: str
    rgb: bool = False
    rows: str = "Y"
    columns: str = "X"
    at: Mapping[str, int | None] = field(default_factory=dict)
    level: int = 0
    region: Region | None = None
    outlines: tuple[Outline, ...] = ()
    channels: tuple[Channel, ...] = ()

    def __post_init__(self) -> None:
        Axes(self.axes)
        if self.rows == self.columns or not {self.rows, self.columns} <= set(self.axes):
            raise AxesError(f"A plane needs two of the image's axes {self.axes}, not {self.rows} and {self.columns}.")
        if "C" in (self.rows, self.columns):
            raise AxesError("Channels are no direction in space; show Y and X.")
        if self.rgb and any(channel.index >= len(COLOURS) for channel in self.channels):
            raise ImageError(f"Colours are {', '.join(COLOURS)}: 0, 1 and 2; choose among them.")
        if unknown := sorted(self.at.keys() - set(self.free)):
            raise AxesError(f"There is no position along {unknown[0]} to choose in an image with axes {self.axes}.")

    @property
    def plane(self) -> str:
        """The axes of the planes, rows first."""
        return self.rows + self.columns

    @property
    def free(self) -> str:
        """The axes along which planes are chosen, in the array's order."""
        return "".join(letter for letter in self.axes if letter not in (self.rows, self.columns, "C"))

    def places(self, shape: Sequence[int]) -> list[Place]:
        """Return all planes to parse of an array of this shape, in its order.

        Raises
        ------
        ImageError
            If one of them is outside of the array.
        """
        ranges = []
        for letter in self.free:
            length, wanted = shape[self.axes.index(letter)], self.at.get(letter)
            if wanted is not None and not 0 <= wanted < length:
                raise ImageError(f"There is no {letter} = {wanted}: the image has {length}, counted from 0.")
            ranges.append(range(length) if wanted is None else (wanted,))
        return list(itertools.product(*ranges))

    def plane_shape(self, shape: Sequence[int]) -> tuple[int, int]:
        """Return height and width of the whole planes of an array of this shape."""
        return shape[self.axes.index(self.rows)], shape[self.axes.index(self.columns)]

    def part(self, shape: Sequence[int]) -> tuple[slice, slice]:
        """Return the part of the planes that is parsed.

        Raises
        ------
        ImageError
            If it lies outside.
        """
        height, width = self.plane_shape(shape)
        if self.region is None:
            return slice(0, height), slice(0, width)
        top, left, bottom, right = self.region
        rows, columns = slice(max(0, top), min(height, bottom)), slice(max(0, left), min(width, right))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            raise ImageError("The chosen part lies outside of the image; move it or choose another scope.")
        return rows, columns

    def inside(self, shape: Sequence[int]) -> NDArray[np.bool_] | None:
        """Return where in :meth:`part` labels may lie, bool (h, w); None for everywhere."""
        if not self.outlines:
            return None
        rows, columns = self.part(shape)
        size = rows.stop - rows.start, columns.stop - columns.start
        inside = np.zeros(size, bool)
        for outline in self.outlines:
            inside |= polygon2mask(size, np.asarray(outline) - (rows.start, columns.start))
        return inside

    def index(self, place: Place, channel: int = 0, part: tuple[slice, slice] | None = None) -> tuple[int | slice, ...]:
        """Return where a plane, or a part of it, lies in an array with these axes; of colours without their axis."""
        rows, columns = part or (slice(None), slice(None))
        chosen: dict[str, int | slice] = {self.rows: rows, self.columns: columns, "C": 0 if self.rgb else channel}
        chosen |= dict(zip(self.free, place, strict=True))
        return tuple(chosen[letter] for letter in self.axes)

    @property
    def transposed(self) -> bool:
        """Whether the array holds the shown columns before the rows."""
        return self.axes.index(self.rows) > self.axes.index(self.columns)
