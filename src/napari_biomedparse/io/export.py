"""Write labels and measurements to a file, in the format that its ending names."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from napari_biomedparse.files.replacing import replacing
from napari_biomedparse.io.coco_export import write_coco
from napari_biomedparse.io.geojson import write_geojson
from napari_biomedparse.io.nifti import write_nifti
from napari_biomedparse.io.ome_tiff import write_ome_tiff
from napari_biomedparse.io.ome_zarr import write_ome_zarr
from napari_biomedparse.io.result import Export, ExportError
from napari_biomedparse.io.tables import write_csv, write_parquet

__all__ = ["FORMATS", "Export", "ExportError", "check_target", "ending_of", "export"]


class _Format(NamedTuple):
    description: str
    write: Callable[[Path, Export], None]


_FORMATS = {
    ".ome.tif": _Format("Labels as OME-TIFF", write_ome_tiff),
    ".ome.tiff": _Format("Labels as OME-TIFF", write_ome_tiff),
    ".ome.zarr": _Format("Labels with names and colours as OME-Zarr", write_ome_zarr),
    ".nii.gz": _Format("Labels of a volume as compressed NIfTI", write_nifti),
    ".nii": _Format("Labels of a volume as NIfTI", write_nifti),
    ".geojson": _Format("Outlines as GeoJSON for QuPath", write_geojson),
    ".json": _Format("Objects as COCO", write_coco),
    ".csv": _Format("Measurements as CSV", write_csv),
    ".parquet": _Format("Measurements as Parquet", write_parquet),
}
# Ending -> what is written.
FORMATS: dict[str, str] = {ending: kind.description for ending, kind in _FORMATS.items()}


def ending_of(path: Path) -> str:
    """Return the ending, one of :data:`FORMATS`, that tells a file's format.

    Raises
    ------
    ExportError
        If it has none of them.
    """
    for ending in FORMATS:
        if path.name.lower().endswith(ending) and len(path.name) > len(ending):
            return ending
    raise ExportError(f"The ending of {path.name!r} names no known format; choose one of {', '.join(FORMATS)}.")


def export(result: Export, path: Path, overwrite: bool = False) -> Path:
    """Write a result, in the format that the path's ending names.

    A file that cannot be written to its end is not left behind; what it was to replace stays.

    Parameters
    ----------
    result
        Labels, names, measurements.
    path
        With an ending of :data:`FORMATS`, in any case.
    overwrite
        Replace what is there. The image itself and folders that are no OME-Zarr are never replaced.

    Returns
    -------
    Path
        Where it was written.

    Raises
    ------
    ExportError
        If the ending is unknown, something is there already, the format cannot hold the result or needs a package
        that is missing, or the file cannot be written, as when the disk is full.
    """
    check_target(path, overwrite, result.source)
    try:
        with replacing(path) as partial:
            _FORMATS[ending_of(path)].write(partial, result)
    except OSError as error:
        raise ExportError(f"{path} was not written: {_reason(path, error)}. Nothing was changed.") from error
    return path


def check_target(path: Path, overwrite: bool = False, source: Path | None = None) -> None:
    """Tell before long work whether :func:`export` would refuse a path; parameters and errors are as there."""
    ending = ending_of(path)
    if not path.parent.is_dir():
        raise ExportError(f"There is no folder {path.parent}; make it first, or choose another.")
    if source and path.exists() and source.exists() and path.samefile(source):
        raise ExportError(f"{path} is the image itself; choose another name.")
    if not path.exists():
        return
    if not overwrite:
        raise ExportError(f"{path} is there already; choose another name, or allow to replace it.")
    if path.is_dir():
        if ending != ".ome.zarr":
            raise ExportError(f"{path} is a folder; choose another name.")
        if not any((path / name).is_file() for name in ("zarr.json", ".zgroup")):
            raise ExportError(f"{path} is a folder, but no OME-Zarr, and is not replaced; choose another name.")


def _reason(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; make room, or choose another folder"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"there is no permission to write to {path.parent}; choose another folder"
    return error.strerror or str(error) or type(error).__name__
