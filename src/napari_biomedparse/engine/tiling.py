"""Cut a plane into overlapping tiles and blend what was found on them without seams."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.errors import SettingError


@dataclass(frozen=True)
class Tile:
    """A rectangle of the plane, in image pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of the plane."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def plan_tiles(shape: tuple[int, int], side: int, overlap: int) -> list[Tile]:
    """Cover a plane with tiles of one size; the last of each row and column is moved inside the plane.

    Parameters
    ----------
    shape
        Height and width of the plane in pixels.
    side
        Side of a tile in pixels; a plane smaller than that gets a tile of its own size.
    overlap
        Least overlap of neighbours in pixels.

    Raises
    ------
    SettingError
        If the overlap is negative or not below the side.
    """
    if not 0 <= overlap < side:
        raise SettingError(f"The overlap must be at least 0 and below the tile's side {side}, not {overlap}.")

    def starts(length: int) -> list[int]:
        if length <= side:
            return [0]
        return [*range(0, length - side, side - overlap), length - side]

    height, width = min(side, shape[0]), min(side, shape[1])
    return [Tile(top, left, height, width) for top in starts(shape[0]) for left in starts(shape[1])]


class Blend:
    """Mean of overlapping tiles, weighted down linearly towards each tile's border; a tile that covers all is all.

    Parameters
    ----------
    planes
        Number of planes blended at once (prompts).
    shape
        Height and width in pixels.
    overlap
        Width of the ramp in pixels.
    """

    def __init__(self, planes: int, shape: tuple[int, int], overlap: int) -> None:
        self._shape = (planes, *shape)
        self._ramp = max(1, overlap)
        self._whole: NDArray[np.float32] | None = None

    @cached_property
    def _sum(self) -> NDArray[np.float32]:
        return np.zeros(self._shape, np.float32)

    @cached_property
    def _weight(self) -> NDArray[np.float32]:
        return np.zeros(self._shape[1:], np.float32)

    def _window(self, tile: Tile) -> NDArray[np.float32]:
        def axis(length: int) -> NDArray[np.float32]:
            from_border = np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5
            return np.minimum(1, from_border / self._ramp).astype(np.float32)

        return axis(tile.height)[:, None] * axis(tile.width)

    def add(self, tile: Tile, values: NDArray[np.float32]) -> None:
        """Add a tile's values, (planes, tile.height, tile.width)."""
        if (tile.height, tile.width) == self._shape[1:]:
            self._whole = values
            return
        window = self._window(tile)
        self._sum[:, *tile.slices] += window * values
        self._weight[tile.slices] += window

    def result(self) -> NDArray[np.float32]:
        """Return the blended planes, (planes, H, W); 0 where no tile has come yet."""
        if self._whole is not None:
            return self._whole
        blended = np.zeros_like(self._sum)
        np.divide(self._sum, self._weight, out=blended, where=self._weight > 0)
        return blended


class Mosaic:
    """Tiles that come in any order, blended in the order they were planned in.

    Sums of floating-point numbers depend on their order: so the result is the same, bit for bit, whichever part of an
    image was looked at first.

    Parameters
    ----------
    tiles
        As planned.
    planes, shape, overlap
        As for :class:`Blend`.
    """

    def __init__(self, tiles: Sequence[Tile], planes: int, shape: tuple[int, int], overlap: int) -> None:
        self._waiting = list(reversed(tiles))
        self._held: dict[Tile, NDArray[np.float32]] = {}
        self._blend = Blend(planes, shape, overlap)

    def add(self, tile: Tile, values: NDArray[np.float32]) -> None:
        """Add a tile's values, (planes, tile.height, tile.width)."""
        self._held[tile] = values
        while self._waiting and self._waiting[-1] in self._held:
            planned = self._waiting.pop()
            self._blend.add(planned, self._held.pop(planned))

    def result(self) -> NDArray[np.float32]:
        """Return the blended planes, (planes, H, W); 0 where no tile has come yet."""
        if not self._held:
            return self._blend.result()
        so_far = deepcopy(self._blend)
        for tile, values in self._held.items():
            so_far.add(tile, values)
        return so_far.result()


def nearest_first(batches: Sequence[tuple[Tile, ...]], near: tuple[float, float]) -> list[tuple[Tile, ...]]:
    """Return batches of tiles, those nearest to a point (row, column) first."""

    def distance(batch: tuple[Tile, ...]) -> float:
        middles = ((tile.top + tile.height / 2, tile.left + tile.width / 2) for tile in batch)
        return min((row - near[0]) ** 2 + (column - near[1]) ** 2 for row, column in middles)

    return sorted(batches, key=distance)
