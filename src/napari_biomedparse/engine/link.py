"""One number for an object over all planes that it is seen on, along z or t."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_biomedparse.engine.selection import Place
from napari_biomedparse.errors import SettingError


class Shared(NamedTuple):
    """Pixels that objects of one plane have in common with objects of the next.

    Attributes
    ----------
    before, now
        Values on the planes, 1 to n; a pair occurs once.
    pixels
        How many.
    """

    before: NDArray[np.int64]
    now: NDArray[np.int64]
    pixels: NDArray[np.int64]


@dataclass(frozen=True)
class _Memory:
    """The objects seen last, with values 1..n: of each value its pixels, number and class.

    Index 0 is the background's.
    """

    areas: NDArray[np.int64]
    numbers: NDArray[np.int64]
    classes: list[str]


@dataclass
class Linker:
    """Numbers the objects of planes that come one after another.

    An object takes over the number of the object of its class that it overlaps on the plane before. Which pairs belong
    together is decided for all objects at once: each has one partner at most, a pair has at least ``least_overlap``
    of intersection over union, and the sum of it over all pairs is greatest. Intersection over union of neighbouring
    planes is what Cellpose stitches two-dimensional masks by (Stringer et al., Nature Methods 18, 100-106, 2021); it
    tells partners from small objects that only lie within a large one, which intersection over the smaller area does
    not. So of two halves of a divided object, the one that overlaps it more keeps its number, and the other gets a new
    one, as does what was not there before. Numbers that were given out do not change.

    Parameters
    ----------
    next_free
        The first number to give out, at least 1.
    least_overlap
        Intersection over union, 0-1, from which two objects may be the same.

    Raises
    ------
    SettingError
        If a value is out of its range.
    """

    next_free: int = 1
    least_overlap: float = 0.3
    _memory: _Memory | None = field(default=None, init=False, repr=False)
    _plane: NDArray[np.int32] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.next_free < 1:
            raise SettingError(f"Numbers of objects start at 1, not {self.next_free}.")
        if not 0 <= self.least_overlap <= 1:
            raise SettingError(f"The least overlap must be between 0 and 1, not {self.least_overlap}.")

    def link(self, plane: NDArray[np.integer], classes: Mapping[int, str]) -> tuple[NDArray[np.int32], dict[int, str]]:
        """Give the objects of the next plane their numbers.

        Parameters
        ----------
        plane
            (H, W) of any integer type; 0 is background, and each object has a value of its own, best 1 to n. Of one
            shape on all planes.
        classes
            Value -> class, as the prompt; values without one are of a class of their own.

        Returns
        -------
        tuple
            int32 (H, W) with the objects' numbers, and number -> class of those on the plane.

        Raises
        ------
        SettingError
            If the plane has values below 0 or no integers, or not the shape of the plane before.
        """
        if plane.dtype.kind not in "iu" or plane.min(initial=0) < 0:
            raise SettingError("Objects to link must be numbered with integers from 1, and 0 outside of them.")
        if self._plane is not None and self._plane.shape != plane.shape:
            raise SettingError(f"Planes to link must have one shape, not {self._plane.shape} and then {plane.shape}.")
        areas = np.bincount(plane.ravel().astype(np.intp, copy=False))
        present = np.flatnonzero(areas[1:]) + 1
        compact = np.zeros(max(areas.size, 1), np.int32)
        compact[present] = np.arange(1, present.size + 1)
        values = compact[plane]
        kinds = ["", *(classes.get(int(value), "") for value in present)]

        shared = None if self._plane is None else shared_pixels(self._plane, values)
        self._plane = values
        numbers = self.link_areas(np.concatenate([[0], areas[present]]), kinds, shared)
        named = {int(numbers[n]): classes[int(value)] for n, value in enumerate(present, 1) if int(value) in classes}
        return numbers.astype(np.int32)[values], named

    def link_areas(
        self, areas: NDArray[np.int64], classes: Sequence[str], shared: Shared | None = None
    ) -> NDArray[np.int64]:
        """Do :meth:`link` where a plane is too large to be at hand: from what was counted on it.

        Parameters
        ----------
        areas
            int64 (n + 1,): pixels of each value; those of 0 do not matter.
        classes
            Class of each value, n + 1 of them.
        shared
            What they have in common with the objects of the plane before; nothing by default.

        Returns
        -------
        ndarray
            int64 (n + 1,): the number of each value.
        """
        numbers = np.zeros(len(areas), np.int64)
        if self._memory is not None and shared is not None:
            before, now = self._pairs(self._memory, areas, classes, shared)
            numbers[now] = self._memory.numbers[before]
        fresh = np.flatnonzero(numbers[1:] == 0) + 1
        numbers[fresh] = np.arange(self.next_free, self.next_free + fresh.size)
        self.next_free += int(fresh.size)
        self._memory = _Memory(areas, numbers, list(classes))
        return numbers

    def _pairs(
        self, memory: _Memory, areas: NDArray[np.int64], kinds: Sequence[str], shared: Shared
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return which objects in memory and on the plane are the same, as two lists of values."""
        before, now, pixels = shared
        overlap = pixels / (memory.areas[before] + areas[now] - pixels)
        codes = {kind: code for code, kind in enumerate(dict.fromkeys([*memory.classes, *kinds]))}
        kind_before, kind_now = (np.array([codes[kind] for kind in side]) for side in (memory.classes, kinds))
        possible = (overlap >= self.least_overlap) & (kind_before[before] == kind_now[now])
        shape = len(memory.classes), len(kinds)
        return _assign(before[possible], now[possible], overlap[possible], shape)


def shared_pixels(before: NDArray[np.integer], now: NDArray[np.integer]) -> Shared:
    """Count the pixels that the objects of two planes (H, W) have in common; 0 is background."""
    both = (before > 0) & (now > 0)
    ones = np.ones(int(both.sum()), np.int64)
    shape = int(before.max(initial=0)) + 1, int(now.max(initial=0)) + 1
    # Making a sparse table of pixels' pairs of values sums equal ones up.
    counted = coo_array((ones, (before[both], now[both])), shape=shape).tocsr().tocoo()
    return Shared(counted.row.astype(np.int64), counted.col.astype(np.int64), counted.data)


def adjoin(one: Place, other: Place) -> bool:
    """Return whether two planes are neighbours, along z or along t."""
    return sum(abs(place - before) for before, place in zip(one, other, strict=True)) == 1


def _assign(
    before: NDArray[np.int64], now: NDArray[np.int64], overlap: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose of possible pairs those with the greatest sum of overlaps in which nothing occurs twice."""
    # Whatever overlaps directly or through others is decided together, and apart from the rest, so that no table has
    # to hold all objects of two planes.
    size = sum(shape)
    graph = coo_array((np.ones(before.size), (before, now + shape[0])), shape=(size, size))
    cluster = connected_components(graph, directed=False)[1][before]
    order = np.argsort(cluster, kind="stable")
    chosen: list[NDArray[np.int64]] = []
    for pairs in np.split(order, np.flatnonzero(np.diff(cluster[order])) + 1):
        if pairs.size < 2:
            chosen.append(pairs)
            continue
        rows, row_of = np.unique(before[pairs], return_inverse=True)
        columns, column_of = np.unique(now[pairs], return_inverse=True)
        table = np.zeros((rows.size, columns.size))
        table[row_of, column_of] = overlap[pairs]
        best = np.full(rows.size, -1)
        matched, partners = linear_sum_assignment(table, maximize=True)
        best[matched] = partners
        # The assignment fills up with pairs that do not overlap; only possible ones are kept.
        chosen.append(pairs[best[row_of] == column_of])
    kept = np.concatenate(chosen)
    return before[kept], now[kept]
