"""Labels as OME-Zarr."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_biomedparse.engine.frames import Frames
from napari_biomedparse.io.result import Export, ExportError, need

# Sides of a chunk, and of the plane below which there is no coarser level.
CHUNK = 512
COARSEST = 256


def write_ome_zarr(path: Path, result: Export) -> None:
    """Write labels as an image-label group of OME-Zarr 0.5 (https://ngff.openmicroscopy.org/0.5/#labels-md), in Zarr 3.

    The group is a store of its own: a pyramid of labels with ``image-label`` metadata, their colours and, as
    properties, their names. Every second row and column of a level make the next. Planes are written one by one.

    Raises
    ------
    ExportError
        If zarr is missing or older than 3.
    """
    zarr = need("zarr", "Writing OME-Zarr", "napari-biomedparse[io]")
    if int(zarr.__version__.partition(".")[0]) < 3:
        raise ExportError(f"Writing OME-Zarr needs zarr 3, but {zarr.__version__} is installed; choose another format.")
    frames = result.frames
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    levels = []
    for number, (height, width) in enumerate(_planes(*frames.sizes[2:])):
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
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [_multiscales(result, len(levels))],
        "image-label": _image_label(result),
    }


def _planes(height: int, width: int) -> list[tuple[int, int]]:
    """Return height and width of each level's planes."""
    sizes = [(height, width)]
    while max(sizes[-1]) > COARSEST:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


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


def _multiscales(result: Export, levels: int) -> dict[str, Any]:
    letters, unit = result.frames.letters, result.length_unit
    axes: list[dict[str, str]] = []
    for letter in letters:
        axis = {"name": letter.lower(), "type": "time" if letter == "T" else "space"}
        if letter == "T" and "T" in result.spacing:
            axis["unit"] = "second"
        if letter != "T" and unit and letter in result.spacing:
            axis["unit"] = unit.name
        axes.append(axis)
    datasets = []
    for number in range(levels):
        # Sampled pixels stay where they were, so levels differ in scale and not in place.
        scale = [float(result.spacing.get(letter, 1.0)) * (2**number if letter in "YX" else 1) for letter in letters]
        datasets.append({"path": str(number), "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    return {"name": result.title, "axes": axes, "datasets": datasets, "type": "nearest"}


def _image_label(result: Export) -> dict[str, Any]:
    labels = sorted(result.names)
    return {
        "colors": [{"label-value": label, "rgba": result.rgba(label)} for label in labels if label in result.colours],
        "properties": [{"label-value": label, "name": result.names[label]} for label in labels],
    }
