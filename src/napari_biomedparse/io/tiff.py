"""What TIFF files hold beyond what bioio reads of them: tiles, pyramids, their end, and ImageJ's units."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import tifffile

from napari_biomedparse.engine.units import UNITS, short_unit
from napari_biomedparse.io.reading import ReadError, need

SUFFIXES = (".tif", ".tiff", ".tf2", ".tf8", ".btf")


def is_tiff(path: Path) -> bool:
    """Return whether a file is a TIFF by its name."""
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def check_whole(path: Path) -> None:
    """Refuse a TIFF that ends before the pixels it announces, without reading them.

    Raises
    ------
    ReadError
        If it is cut short.
    """
    if not is_tiff(path):
        return
    with tifffile.TiffFile(path) as file:
        length = file.filehandle.size
        # The list of pages comes first: without its end, the file looks like one of fewer pages.
        needed = _listed_until(file)
        if needed <= length:
            needed = max((_end(series, file) for series in file.series), default=0)
    if needed > length:
        raise ReadError(f"{path} is cut short: {length} of at least {needed} bytes are there. Download it again.")


def _listed_until(file: tifffile.TiffFile) -> int:
    """Return where the list of the pages (TIFF 6.0, section 2) leaves the file, or 0 where it does not."""
    handle, form = file.filehandle, file.tiff
    seen: set[int] = set()
    order: Literal["little", "big"] = "little" if form.byteorder == "<" else "big"
    offset = int(file.pages.first.offset)
    while offset and offset not in seen:
        seen.add(offset)
        handle.seek(offset)
        tags = int.from_bytes(handle.read(form.tagnosize), order)
        end = offset + form.tagnosize + tags * form.tagsize + form.offsetsize
        if end > handle.size:
            return int(end)
        handle.seek(end - form.offsetsize)
        offset = int.from_bytes(handle.read(form.offsetsize), order)
    return 0


def _end(series: Any, file: tifffile.TiffFile) -> int:
    """Return where the pixels of a series end in a file."""
    ends = [0]
    for level in series.levels:
        pages = [page for page in level.pages if page is not None and page.parent is file]
        for page in pages:
            ends += [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=False)]
            ends += getattr(page, "subifds", None) or ()
        # ImageJ describes the first page only; the others follow.
        if pages and level.dataoffset is not None:
            ends.append(level.dataoffset + level.nbytes)
    return int(max(ends))


def tiled_levels(path: Path, series: int, axes: str, counts: Mapping[str, int]) -> list[Any]:
    """Return lazy arrays (dask) of a tiled or multi-resolution TIFF, the finest first, a chunk for each tile.

    Parameters
    ----------
    path
        The file.
    series
        Index of the image in the file.
    axes
        The wanted axes in order, with S for colours.
    counts
        Length of each axis of the finest level, as another reader found it.

    Returns
    -------
    list
        Empty where the file is none such, or its axes are not these.
    """
    if not is_tiff(path):
        return []
    with tifffile.TiffFile(path) as file:
        if series >= len(file.series):
            return []
        found = file.series[series]
        lengths = dict(zip(found.axes, found.shape, strict=True))
        if not found.keyframe.is_tiled and len(found.levels) == 1:
            return []
        if any(lengths.get(axis, 1) != counts.get(axis, 1) for axis in {*found.axes, *axes}):
            return []
        names = [level.axes for level in found.levels]
    dask = need("dask.array", "Reading whole images", "io")
    arrays = []
    for level, own in enumerate(names):
        array = dask.from_zarr(tifffile.imread(path, aszarr=True, series=series, level=level))
        kept = [axis for axis in own if axis in axes]
        array = array[tuple(slice(None) if axis in axes else 0 for axis in own)]
        if sorted(kept) != sorted(axes):
            return []
        arrays.append(array.transpose([kept.index(axis) for axis in axes]))
    return arrays


def imagej_unit(path: Path) -> str:
    """Return the unit that ImageJ gave a TIFF's pixel sizes, by its short name, or nothing."""
    unit = short_unit(str(_imagej(path).get("unit", "")).replace("\\u00B5", "µ"))
    return unit if unit in UNITS and unit != "in" else ""


def imagej_time_step(path: Path) -> float | None:
    """Return the seconds between time points that ImageJ gave a TIFF."""
    step = _imagej(path).get("finterval")
    return float(step) if step else None


def _imagej(path: Path) -> Mapping[str, Any]:
    if not is_tiff(path):
        return {}
    with tifffile.TiffFile(path) as file:
        return file.imagej_metadata or {}
