"""Pixels of Zeiss's CZI through Zeiss's own library: any part of a mosaic, at any level of its pyramid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.io.reading import AXES, ReadError, first_line, lazy_array

# Pixels of a chunk's side, and of the longer side of the coarsest level.
SIDE = 1024
_DTYPES = {"Gray8": np.uint8, "Gray16": np.uint16, "Gray32Float": np.float32}


@dataclass(frozen=True)
class _Level:
    """Reads chunks of one level of a scene; it travels to other processes, which open the file for themselves."""

    path: Path
    scene: int | None
    corner: tuple[int, int]
    size: tuple[int, int]
    factor: int
    starts: tuple[tuple[str, int], ...]

    def __call__(self, place: tuple[int, ...]) -> NDArray[Any]:
        from pylibCZIrw import czi

        axes = [axis for axis, _ in self.starts]
        row, column = place[len(axes) : len(axes) + 2]
        step = SIDE * self.factor
        top, left = row * step, column * step
        height, width = min(step, self.size[0] - top), min(step, self.size[1] - left)
        plane = {axis: start + number for (axis, start), number in zip(self.starts, place, strict=False)}
        part = (self.corner[1] + left, self.corner[0] + top, width, height)
        try:
            with czi.open_czi(str(self.path)) as file:
                found = file.read(roi=part, plane=plane, scene=self.scene, zoom=1 / self.factor)
        except RuntimeError as error:
            raise ReadError(f"{self.path} cannot be read: {first_line(error)}") from error
        rows, columns = -(-height // self.factor), -(-width // self.factor)
        # The library rounds sides to its own liking.
        found = np.pad(found[:rows, :columns], [(0, max(0, rows - found.shape[0])), (0, 0), (0, 0)], "edge")
        found = np.pad(found, [(0, 0), (0, max(0, columns - found.shape[1])), (0, 0)], "edge")
        # Colours are kept as blue, green, red.
        picture = found[..., ::-1] if found.shape[2] == 3 else found[..., 0]
        return np.ascontiguousarray(picture[(None,) * len(axes)])


def tiled_levels(path: Path, number: int, axes: str, counts: Mapping[str, int]) -> list[Any]:
    """Return lazy arrays (dask) of a scene of a CZI, the finest first, each half as large as the one before.

    Parameters
    ----------
    path
        The file.
    number
        Of the scene, in bioio's order.
    axes
        The wanted axes in order, with S for colours.
    counts
        Length of each axis, as bioio's reader found it.

    Returns
    -------
    list
        Empty where Zeiss's library is not installed, or the file's axes are not these.
    """
    try:
        from pylibCZIrw import czi
    except ImportError:
        return []
    with czi.open_czi(str(path)) as file:
        bounds = file.total_bounding_box_no_pyramid
        scenes = file.scenes_bounding_rectangle_no_pyramid
        kinds = set(file.pixel_types.values())
    colours = kinds <= {"Bgr24", "Bgr48"}
    if len(kinds) != 1 or not (colours or kinds <= set(_DTYPES)) or colours != ("S" in axes):
        return []
    scene = sorted(scenes)[number] if scenes else None
    if scene is None:
        corner, size = zip(*[(low, high - low) for low, high in (bounds["Y"], bounds["X"])], strict=True)
    else:
        corner, size = (scenes[scene].y, scenes[scene].x), (scenes[scene].h, scenes[scene].w)
    lengths = {axis: bounds[axis][1] - bounds[axis][0] if axis in bounds else 1 for axis in AXES[:3]}
    if size != (counts["Y"], counts["X"]) or any(counts.get(axis, 1) != length for axis, length in lengths.items()):
        return []
    starts = tuple((axis, bounds[axis][0]) for axis in axes if axis in AXES[:3])
    dtype = np.dtype(_DTYPES["Gray8" if kinds == {"Bgr24"} else "Gray16" if colours else kinds.pop()])
    levels, factor = [], 1
    while factor == 1 or max(size) > SIDE * factor // 2:
        sides = [-(-length // factor) for length in size]
        cuts = [tuple(b - a for a, b in pairwise([*range(0, side, SIDE), side])) for side in sides]
        chunks = [*((1,) * lengths[axis] for axis, _ in starts), *cuts, *([(3,)] if colours else [])]
        levels.append(lazy_array(_Level(path, scene, corner, size, factor, starts), chunks, dtype))
        factor *= 2
    return levels
