"""Labels as OME-Zarr."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_biomedparse.engine.frames import Frames
from napari_biomedparse.io.ome_metadata import level_sizes, need_zarr, ome_attributes
from napari_biomedparse.io.result import Export

# Side of a chunk.
CHUNK = 512


def write_ome_zarr(path: Path, result: Export) -> None:
    """Write labels as an image-label group of OME-Zarr 0.5 (https://ngff.openmicroscopy.org/0.5/#labels-md), in Zarr 3.

    The group is a store of its own: a pyramid of labels with ``image-label`` metadata, their colours and, as
    properties, their names. Every second row and column of a level make the next. Planes are written one by one.

    Raises
    ------
    ExportError
        If zarr is missing or older than 3.
    """
    zarr = need_zarr()
    frames = result.frames
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    levels = []
    for number, (height, width) in enumerate(level_sizes(*frames.sizes[2:])):
        lengths = dict(zip("TZYX", (*frames.sizes[:2], height, width), strict=True))
        chunks = {"T": 1, "Z": 1, "Y": min(height, CHUNK), "X": min(width, CHUNK)}
        level = group.create_array(
            str(number),
            shape=tuple(lengths[letter] for letter in frames.letters),
            chunks=tuple(chunks[letter] for letter in frames.letters),
            dtype=np.dtype(result.labels.dtype),
            fill_value=0,
            dimension_names=[letter.lower() for letter in frames.letters],
        )
        levels.append(level)
    _fill(levels, frames)
    group.attrs["ome"] = ome_attributes(
        frames.letters, len(levels), result.names, result.colours, result.spacing, result.unit, result.title
    )


def _fill(levels: list[Any], frames: Frames) -> None:
    count, depth, _, _ = frames.sizes
    for t in range(count):
        for z in range(depth):
            position = {"T": t, "Z": z}
            index = tuple(position[letter] for letter in frames.letters if letter in position)
            plane = frames.plane(t, z)
            for level in levels:
                level[(*index, slice(None), slice(None))] = plane
                plane = plane[::2, ::2]
