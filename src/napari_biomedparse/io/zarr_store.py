"""What kind of OME-Zarr a folder is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from napari_biomedparse.io.reading import ReadError

# Units of time that OME-Zarr 0.4 and 0.5 allow, by their length.
SECONDS = {
    "nanosecond": 1e-9,
    "microsecond": 1e-6,
    "millisecond": 1e-3,
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
}
_FILES = ("zarr.json", ".zattrs", ".zgroup")


def is_zarr(path: Path) -> bool:
    """Return whether a path is a Zarr store by what it holds, or by its name where it is one file."""
    if path.is_dir():
        return any((path / name).is_file() for name in _FILES)
    return path.name.lower().endswith((".ozx", ".zarr.zip"))


def series(path: Path) -> list[str]:
    """Return the folders of the images in a store that holds several, as Bio-Formats' bioformats2raw writes them.

    Raises
    ------
    ReadError
        If the store is a plate.
    """
    attributes = _attributes(path)
    if "plate" in attributes:
        raise ReadError(f"{path} is a plate; open one of its fields, which are folders such as {path / 'A/1/0'}.")
    if "bioformats2raw.layout" not in attributes:
        return []
    names = _attributes(path / "OME").get("series")
    if isinstance(names, list):
        return [str(name) for name in names]
    return sorted((one.name for one in path.iterdir() if one.name.isdigit()), key=int)


def _attributes(path: Path) -> dict[str, Any]:
    """Return the OME attributes of a group: in Zarr 3 they are within ``ome``."""
    for name in _FILES[:2]:
        file = path / name
        if not file.is_file():
            continue
        try:
            # Bytes, for JSON is UTF-8 whatever the computer's own encoding is.
            content = json.loads(file.read_bytes())
            attributes = content.get("attributes", {}) if name == "zarr.json" else content
            return dict(attributes.get("ome", attributes))
        except (ValueError, TypeError, AttributeError):
            raise ReadError(f"{file} is damaged; write the store anew or fetch it again.") from None
    return {}
