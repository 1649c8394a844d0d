"""One number for an object over all planes that it is seen on, along z or t."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True)
class _Memory:
    """Where objects were seen last: a plane with values 1..n, and of each value its number and class.

    Index 0 of the lists is the background's.
    """

    values: NDArray[np.int32]
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
    ValueError
        If a value is out of its range.
    """

    next_free: int = 1
    least_overlap: float = 0.3
    _memory: _Memory | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.next_free < 1:
            raise ValueError(f"Numbers of objects start at 1, not {self.next_free}.")
        if not 0 <= self.least_overlap <= 1:
            raise ValueError(f"The least overlap must be between 0 and 1, not {self.least_overlap}.")

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
        ValueError
            If the plane has values below 0 or no integers, or not the shape of the plane before.
        """
        if plane.dtype.kind not in "iu" or plane.min(initial=0) < 0:
            raise ValueError("Objects to link must be numbered with integers from 1, and 0 outside of them.")
        if self._memory is not None and self._memory.values.shape != plane.shape:
            raise ValueError(
                f"Planes to link must have one shape, not {self._memory.values.shape} and then {plane.shape}."
            )
        areas = np.bincount(plane.ravel().astype(np.intp, copy=False))
        present = np.flatnonzero(areas[1:]) + 1
        compact = np.zeros(max(areas.size, 1), np.int32)
        compact[present] = np.arange(1, present.size + 1)
        values = compact[plane]
        kinds = ["", *(classes.get(int(value), "") for value in present)]

        numbers = np.zeros(present.size + 1, np.int64)
        if self._memory is not None:
            before, now = self._pairs(self._memory, values, kinds)
            numbers[now] = self._memory.numbers[before]
        fresh = np.flatnonzero(numbers[1:] == 0) + 1
        numbers[fresh] = np.arange(self.next_free, self.next_free + fresh.size)
        self.next_free += int(fresh.size)

        self._memory = _Memory(values, numbers, kinds)
        named = {int(numbers[n]): classes[int(value)] for n, value in enumerate(present, 1) if int(value) in classes}
        return numbers.astype(np.int32)[values], named

    def _pairs(
        self, memory: _Memory, values: NDArray[np.int32], kinds: list[str]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return which objects in memory and on the plane are the same, as two lists of values."""
        both = (memory.values > 0) & (values > 0)
        shape = len(memory.classes), len(kinds)
        ones = np.ones(int(both.sum()), np.int32)
        # Making a sparse table of pixels' pairs of values sums equal ones up.
        shared = coo_array((ones, (memory.values[both], values[both])), shape=shape).tocsr().tocoo()
        before, now = (places.astype(np.int64) for places in shared.coords)
        union = np.bincount(memory.values.ravel())[before] + np.bincount(values.ravel())[now] - shared.data
        overlap = shared.data / union
        codes = {kind: code for code, kind in enumerate(dict.fromkeys([*memory.classes, *kinds]))}
        kind_before, kind_now = (np.array([codes[kind] for kind in side]) for side in (memory.classes, kinds))
        possible = (overlap >= self.least_overlap) & (kind_before[before] == kind_now[now])
        return _assign(before[possible], now[possible], overlap[possible], shape)


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
