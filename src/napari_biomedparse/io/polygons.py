"""Outlines of masks along the edges of their pixels."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

# A closed ring of corners (x, y), int64 (N, 2): the first is the last.
Ring = NDArray[np.int64]


def outline(mask: NDArray[np.bool_]) -> list[list[Ring]]:
    """Return the polygons that hold exactly a mask's pixels.

    Parameters
    ----------
    mask
        bool (H, W). The pixel in row r and column c spans r to r + 1 and c to c + 1.

    Returns
    -------
    list of list of ndarray
        A polygon for each part whose pixels share sides: its outer ring, then its holes. Rings neither cross nor touch
        themselves, and have a corner wherever they turn only. The outer ones have a positive area by the shoelace
        formula over (x, y), the holes a negative one.
    """
    parts, _ = ndi.label(mask)
    polygons = []
    for number, place in enumerate(ndi.find_objects(parts), start=1):
        corner = np.array([place[1].start, place[0].start])
        rings = [ring + corner for ring in _rings(parts[place] == number)]
        polygons.append(sorted(rings, key=_area, reverse=True))
    return polygons


def _area(ring: Ring) -> float:
    x, y = (ring - ring[0]).T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2


def _rings(part: NDArray[np.bool_]) -> list[Ring]:
    padded = np.pad(part, 1)
    inside = padded[1:-1, 1:-1]
    columns = part.shape[1] + 1
    starts, ends = [], []
    # Each side of a pixel that has no neighbour there, walked with the pixel to the right hand on the screen.
    sides = (
        (padded[:-2, 1:-1], (0, 0), (0, 1)),
        (padded[1:-1, 2:], (0, 1), (1, 1)),
        (padded[2:, 1:-1], (1, 1), (1, 0)),
        (padded[1:-1, :-2], (1, 0), (0, 0)),
    )
    for neighbour, (top, left), (bottom, right) in sides:
        rows, places = np.nonzero(inside & ~neighbour)
        starts.append((rows + top) * columns + places + left)
        ends.append((rows + bottom) * columns + places + right)
    loops = _loops(np.concatenate(starts).tolist(), np.concatenate(ends).tolist())
    return [_turns(np.stack([np.array(loop) % columns, np.array(loop) // columns], axis=1)) for loop in loops]


def _loops(starts: list[int], ends: list[int]) -> list[list[int]]:
    """Join steps to loops that pass each point once."""
    following: defaultdict[int, list[int]] = defaultdict(list)
    for start, end in zip(starts, ends, strict=True):
        following[start].append(end)
    loops = []
    while following:
        first = next(iter(following))
        path, passed = [first], {first: 0}
        while path[-1] in following:
            choices = following[path[-1]]
            point = choices.pop()
            if not choices:
                del following[path[-1]]
            if point not in passed:
                passed[point] = len(path)
                path.append(point)
                continue
            # The path has come back to a point of its own: what lies between is a loop.
            back = passed[point]
            loops.append(path[back:])
            for other in path[back + 1 :]:
                del passed[other]
            del path[back + 1 :]
    return loops


def _turns(points: NDArray[np.int64]) -> Ring:
    """Return a closed ring without the points at which a loop goes straight on."""
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    kept = points[(before != after).any(axis=1)]
    return np.concatenate([kept, kept[:1]])
