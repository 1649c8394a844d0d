"""One value for an object over the borders of blocks, and one number over planes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_biomedparse.engine.link import Linker, Shared, shared_pixels
from napari_biomedparse.scale.grid import Grid
from napari_biomedparse.scale.scratch import Arrays

# Share of the smaller piece's pixels along a border from which two pieces are one object.
SAME = 0.5


def merge(grid: Grid, parts: Sequence[Arrays], instances: bool, min_area: int) -> Arrays:
    """Give the objects of a plane values that hold on all of it.

    Parameters
    ----------
    grid
        The plane's blocks.
    parts
        Of each block what :func:`~.tasks.part` found.
    instances
        Whether values are objects; otherwise they are prompts and stay as they are.
    min_area
        Objects of fewer pixels are dropped.

    Returns
    -------
    dict
        ``numbers0`` and so on: of each block, value in the block -> value on the plane. ``areas`` and ``prompts`` of
        the plane's values, 0 being background.
    """
    starts = np.cumsum([0, *(len(part["areas"]) for part in parts)])
    areas = np.concatenate([part["areas"] for part in parts])
    prompts = np.concatenate([part["prompts"] for part in parts])
    background = starts[:-1]
    areas[background] = 0
    if not instances:
        count = int(prompts.max(initial=-1)) + 2
        summed = np.bincount(prompts + 1, areas, count).astype(np.int64)
        numbers = {f"numbers{n}": np.arange(len(part["areas"])) for n, part in enumerate(parts)}
        return {**numbers, "areas": summed, "prompts": np.arange(-1, count - 1)}
    if len(parts) == 1:
        return {"numbers0": np.arange(len(areas)), "areas": areas, "prompts": prompts}
    one, other = _same(grid, parts, starts, prompts)
    graph = coo_array((np.ones(len(one)), (one, other)), shape=(len(areas), len(areas)))
    group = connected_components(graph, directed=False)[1]
    total = np.bincount(group, areas)[group]
    kept = (total >= max(1, min_area)) & (prompts >= 0)
    kept[background] = False
    # Numbered by where an object comes first.
    values = np.zeros(len(areas), np.int64)
    _, first, where = np.unique(group[kept], return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(1, len(first) + 1)
    values[kept] = rank[where]
    numbers = {f"numbers{n}": values[start:stop] for n, (start, stop) in enumerate(itertools.pairwise(starts))}
    kinds = np.full(len(first) + 1, -1, prompts.dtype)
    kinds[values[kept]] = prompts[kept]
    return {
        **numbers,
        "areas": np.bincount(values[kept], areas[kept], len(first) + 1).astype(np.int64),
        "prompts": kinds,
    }


def _same(
    grid: Grid, parts: Sequence[Arrays], starts: NDArray[np.int64], prompts: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return pairs of pieces on either side of a border that are one object."""
    pairs: list[NDArray[np.int64]] = []
    for block in grid.blocks:
        neighbours = []
        if block.columns.stop < grid.shape[1]:
            neighbours.append((block.number + 1, "right", "left"))
        if block.rows.stop < grid.shape[0]:
            neighbours.append((block.number + grid.width, "bottom", "top"))
        for number, far, near in neighbours:
            one, other = parts[block.number][far], parts[number][near]
            before, now, pixels = shared_pixels(one, other)
            sizes = np.minimum(np.bincount(one.ravel())[before], np.bincount(other.ravel())[now])
            nodes = np.stack([before + starts[block.number], now + starts[number]])
            alike = prompts[nodes[0]] == prompts[nodes[1]]
            pairs.append(nodes[:, alike & (pixels >= SAME * sizes)])
    together = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0), np.int64)
    return together[0], together[1]


class Numbering:
    """Numbers the objects of planes, one plane after another as they come.

    Parameters
    ----------
    link
        Whether objects keep their number from plane to plane.
    """

    def __init__(self, link: bool) -> None:
        self._link = link
        self._linker = Linker()
        self._highest = 0
        self._compact = np.zeros(1, np.int64)

    def number(self, merged: Arrays, shared: Shared | None, highest: int) -> NDArray[np.int64]:
        """Return the number of each value of a plane.

        Parameters
        ----------
        merged
            From :func:`merge`.
        shared
            What the plane has in common with the one before; None if that is no neighbour.
        highest
            The greatest value that the plane may have.
        """
        if not self._link:
            numbers = np.arange(len(merged["areas"])) + self._highest
            numbers[0] = 0
            self._highest += highest
            return numbers
        if shared is None:
            self._linker = Linker(next_free=self._linker.next_free)
        present = np.flatnonzero(merged["areas"] > 0)
        present = present[present > 0]
        compact = np.zeros(len(merged["areas"]), np.int64)
        compact[present] = np.arange(1, len(present) + 1)
        common = None
        if shared is not None:
            common = Shared(self._compact[shared.before], compact[shared.now], shared.pixels)
        self._compact = compact
        kinds = ["", *map(str, merged["prompts"][present])]
        numbers = self._linker.link_areas(np.concatenate([[0], merged["areas"][present]]), kinds, common)
        return numbers[compact]
