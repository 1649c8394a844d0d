"""An array with axes in any order, read plane by plane or volume by volume."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.axes import Axes, AxesError


@dataclass(frozen=True)
class Frames:
    """A series of volumes or planes of one channel.

    Parameters
    ----------
    array
        Anything that has a shape, a dtype and basic indexing, such as a numpy, dask or zarr array. Only what is asked
        for is read.
    axes
        What its axes are, in order: a letter of T, C, Z, Y, X each, and S (samples) for a last axis of colours.
    at
        Position along C and S; 0 by default.

    Raises
    ------
    AxesError
        If the axes do not fit the array.
    """

    array: Any
    axes: str
    at: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Axes(self.axes.removesuffix("S"))
        shape = tuple(self.array.shape)
        if len(shape) != len(self.axes):
            raise AxesError(f"An array of shape {shape} has {len(shape)} axes, not those of {self.axes}.")
        for letter, position in self.at.items():
            if not (letter in "CS" and letter in self.axes and 0 <= position < shape[self.axes.index(letter)]):
                raise AxesError(
                    f"There is no {letter} = {position} in an array of shape {shape} with axes {self.axes}."
                )

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Lengths of T, Z, Y and X; 1 for an axis that is not there."""
        t, z, y, x = (int(self.array.shape[self.axes.index(a)]) if a in self.axes else 1 for a in "TZYX")
        return t, z, y, x

    @property
    def letters(self) -> str:
        """Those of T, Z, Y and X that are there."""
        return "".join(letter for letter in "TZYX" if letter in self.axes)

    def plane(self, t: int = 0, z: int = 0) -> NDArray[Any]:
        """Return a plane (Y, X)."""
        return self._read({"T": t, "Z": z})

    def volume(self, t: int = 0) -> NDArray[Any]:
        """Return a volume (Z, Y, X)."""
        volume = self._read({"T": t})
        return volume if "Z" in self.axes else volume[np.newaxis]

    def planes(self) -> Iterator[NDArray[Any]]:
        """Yield all planes, z by z and frame by frame."""
        frames, depth, _, _ = self.sizes
        return (self.plane(t, z) for t in range(frames) for z in range(depth))

    def _read(self, at: Mapping[str, int]) -> NDArray[Any]:
        position = {"C": 0, "S": 0, **self.at, **at}
        index = tuple(position.get(letter, slice(None)) for letter in self.axes)
        kept = [letter for letter in self.axes if letter not in position]
        order = [kept.index(letter) for letter in "ZYX" if letter in kept]
        read: NDArray[Any] = np.asarray(self.array[index]).transpose(order)
        return read


def numbered(values: NDArray[Any]) -> tuple[NDArray[Any], Sequence[int] | NDArray[Any]]:
    """Return labels that are not larger than there are pixels, and what each was before; none is below 0.

    The search for objects takes memory in proportion to the largest label.

    Parameters
    ----------
    values
        Labels of any integer type; those below 0 count as background.
    """
    highest = int(values.max(initial=0))
    if highest <= values.size and int(values.min(initial=0)) >= 0:
        return values, range(highest + 1)
    known, places = np.unique(np.where(values > 0, values, 0), return_inverse=True)
    if known[0] > 0:
        known, places = np.concatenate([[0], known]), places + 1
    return places.reshape(values.shape), known
