"""Open whole images of any size: their pixels are read only where they are needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_biomedparse.io import dicom, readers, volumes, zarr_store
from napari_biomedparse.io.reading import OpenedImage as OpenedImage
from napari_biomedparse.io.reading import ReadError as ReadError
from napari_biomedparse.io.reading import choose_scene


def scenes(path: Path) -> list[str]:
    """Return the names of the images that a file holds, in their order.

    Parameters
    ----------
    path
        A file, OME-Zarr folder or folder with DICOM series, as for :func:`open_image`.

    Returns
    -------
    list of str
        At most one name where the file holds just one image. Series of DICOM are named by their description, or by
        their identifier where that is missing or not theirs alone.

    Raises
    ------
    ReadError
        If the file is missing or unreadable.
    """
    _check_there(path)
    if volumes.is_nifti(path):
        return []
    if dicom.is_dicom(path):
        return dicom.scene_names(path)
    inner = zarr_store.series(path)
    return inner or readers.scene_names(readers.open_reader(path))


def open_image(path: Path, scene: str | None = None) -> OpenedImage:
    """Open an image without reading its pixels.

    Parameters
    ----------
    path
        A file that bioio and its installed plug-ins read (OME-TIFF, TIFF, PNG, JPEG and more), an OME-Zarr folder, a
        NIfTI file, a DICOM file, or a folder with DICOM series.
    scene
        One of :func:`scenes`; the first where it is left out.

    Returns
    -------
    OpenedImage
        Volumes of NIfTI are turned to axial planes as radiologists look at them: sections from the feet upwards, the
        front on top, the patient's right on the left. DICOM keeps its rows and columns; its slices are ordered by
        place, and its values are those of the rescale slope and intercept (Hounsfield for CT).

    Raises
    ------
    ReadError
        If the file is missing, damaged or of an unknown kind, if what reads it is not installed, or if there is no
        such scene. Computing the pixels may raise it too, or OSError, where they turn out to be damaged.
    """
    _check_there(path)
    if volumes.is_nifti(path):
        choose_scene(path, [], scene)
        return volumes.open_nifti(path)
    if dicom.is_dicom(path):
        return dicom.open_series(path, scene)
    inner = zarr_store.series(path)
    if inner:
        index = choose_scene(path, inner, scene)
        found = readers.open_scene(path / inner[index], None)
        return replace(found, path=path, scene=inner[index] if len(inner) > 1 else None)
    return readers.open_scene(path, scene)


def _check_there(path: Path) -> None:
    if not path.exists():
        raise ReadError(f"There is no file {path}.")
