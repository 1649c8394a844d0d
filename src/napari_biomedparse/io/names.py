"""What results are called after the images they are of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from napari_biomedparse.io.zarr_store import is_zarr

ENDINGS = (".ome.tiff", ".ome.tif", ".ome.zarr", ".zarr.zip", ".nii.gz", ".zarr")


def stem(path: Path) -> str:
    """Return the name of an image without its ending.

    An image within a store, as a field of a plate, is named after the store and its place there:
    ``plate.ome.zarr/A/1/0`` is ``plate_A_1_0``.
    """
    # Not resolved: where files are links, as in git-annex, those they lead to have names that say nothing.
    whole = Path(os.path.abspath(path))  # noqa: PTH100
    outer = whole
    while outer.parent != outer and is_zarr(outer.parent):
        outer = outer.parent
    return "_".join([_without_ending(outer), *whole.relative_to(outer).parts])


def names_of(path: Path, scenes: Sequence[str | None]) -> list[str]:
    """Return the names of the results of an image's scenes, each once; None stands for all that a file holds."""
    own = stem(path)
    found: list[str] = []
    for scene in scenes:
        name = one = own + (f"_{_plain(scene)}" if scene else "")
        number = 2
        while one in found:
            number, one = number + 1, f"{name}-{number}"
        found.append(one)
    return found


def _without_ending(path: Path) -> str:
    name = path.name
    for ending in ENDINGS:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    # What follows the last dot of a folder's name or of an identifier, as DICOM has them, is no ending.
    return name if path.is_dir() or path.suffix[1:].isdigit() else path.stem


def _plain(scene: str) -> str:
    """Return a scene's name as part of a file's."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in scene)
