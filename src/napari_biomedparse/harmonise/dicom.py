"""DICOM: series of slices, single files, and segmentation objects (DICOM PS3.3, A.51), through the package's reader."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.harmonise.source import Table
from napari_biomedparse.harmonise.volume import Volume
from napari_biomedparse.io import dicom
from napari_biomedparse.io.reading import ReadError, first_line, need

# Two places are the same where they are nearer than this share of the distance between slices, or of a pixel.
NEAR = 0.5


def read_series(path: Path, mask: bool = False) -> Volume:
    """Read a folder of slices in the order of their places, or one file with one or several frames.

    Parameters
    ----------
    path
        The folder or file.
    mask
        Whether it is a mask: then values are as they are stored. Otherwise they are in the units of their frame's
        rescaling (Hounsfield for CT), palettes are looked up and MONOCHROME1 is inverted.

    Raises
    ------
    ReadError
        If the folder holds no image or several series, or its slices do not fit together.
    """
    frames = _frames(path)
    dicom.shape_of(frames)
    dtype = dicom.dtype_of(frames)
    planes = [dicom.read_stored(frame) if mask else dicom.read_pixels(frame, dtype) for frame in frames]
    first = frames[0]
    height, width = first.pixel if first.pixel and min(first.pixel) > 0 else (1.0, 1.0)
    axes = _axes(first.direction) if path.is_dir() and first.direction else ""
    return Volume(np.stack(planes), len(planes) == 1, axes, pixel=(height, width))


def _frames(path: Path) -> list[dicom.Frame]:
    series = dicom.read_frames(path)
    if len(series) > 1:
        raise ReadError(f"{path} holds {len(series)} DICOM series; put each into a folder of its own.")
    return next(iter(series.values()))


def segment_labels(path: Path) -> Table:
    """Return label -> number of the segments of a DICOM segmentation, without reading its pixels.

    Raises
    ------
    ReadError
        If the file is no DICOM segmentation.
    """
    data = dicom.read_header(path)
    _check_segmentation(data, path)
    return {str(segment.SegmentLabel): [int(segment.SegmentNumber)] for segment in data.SegmentSequence}


def read_segmentation(path: Path, series: Path) -> dict[int, NDArray[np.bool_]]:
    """Read a DICOM segmentation onto the slices of its series.

    Parameters
    ----------
    path
        The segmentation.
    series
        Folder of the series it was drawn on.

    Returns
    -------
    dict
        Segment number -> bool (S, H, W) in the order of :func:`read_series`.

    Raises
    ------
    ReadError
        If a frame lies on no slice, or differs from the slices in size, direction or place.
    """
    data = dicom.read_header(path)
    _check_segmentation(data, path)
    slices = _frames(series)
    if any(not one.corner for one in slices):
        raise ReadError(f"{series} holds no DICOM image that says where it lies.")
    direction = np.asarray(slices[0].direction)
    normal = np.cross(direction[:3], direction[3:])
    places = np.array([np.dot(one.corner, normal) for one in slices])
    step = float(np.diff(places).min()) if len(places) > 1 else 1.0
    near = NEAR * min(slices[0].pixel or (1.0,))
    if (data.Rows, data.Columns) != dicom.shape_of(slices)[:2]:
        raise ReadError(f"{path} and its series differ in size: {data.Rows}x{data.Columns}.")
    frames = _pixels(path).reshape(-1, data.Rows, data.Columns)
    limit = float(data.get("MaximumFractionalValue", 1)) / 2
    masks: dict[int, NDArray[np.bool_]] = {
        int(segment.SegmentNumber): np.zeros((len(slices), data.Rows, data.Columns), bool)
        for segment in data.SegmentSequence
    }
    shared = data.get("SharedFunctionalGroupsSequence") or [None]
    for frame, about in zip(frames, data.PerFrameFunctionalGroupsSequence, strict=True):
        drawn = _group(about, shared[0], "PlaneOrientationSequence").ImageOrientationPatient
        if not np.allclose(drawn, direction, atol=1e-3):
            raise ReadError(f"{path} is drawn in another direction than its series.")
        position = np.asarray(_group(about, shared[0], "PlanePositionSequence").ImagePositionPatient, float)
        place = float(np.dot(position, normal))
        nearest = int(np.abs(places - place).argmin())
        if abs(places[nearest] - place) > NEAR * step:
            raise ReadError(f"{path} has a frame at {place:.1f} mm, where its series has no slice.")
        shift = position - slices[nearest].corner
        shift -= np.dot(shift, normal) * normal
        if np.linalg.norm(shift) > near:
            raise ReadError(f"{path} lies {np.linalg.norm(shift):.1f} mm beside its series.")
        segment = int(_group(about, shared[0], "SegmentIdentificationSequence").ReferencedSegmentNumber)
        masks[segment][nearest] |= frame > limit
    return masks


def _group(own: Any, shared: Any, name: str) -> Any:
    sequence = own.get(name) or (shared.get(name) if shared is not None else None)
    if not sequence:
        raise ReadError(f"A frame of the DICOM segmentation lacks its {name}.")
    return sequence[0]


def _check_segmentation(data: Any, path: Path) -> None:
    if not dicom.is_segmentation(data) or not data.get("SegmentSequence"):
        raise ReadError(f"{path} is no DICOM segmentation; name its values with labels in the description.")


def _pixels(path: Path) -> NDArray[Any]:
    try:
        pixels: NDArray[Any] = need("pydicom.pixels", "Reading DICOM").pixel_array(path)
    except Exception as error:
        raise ReadError(f"{path} is damaged or cut short: {first_line(error)}") from error
    return pixels


def _axes(direction: Sequence[float]) -> str:
    """Return the patient's sides to which slice, row and column grow."""
    sides = np.asarray(direction)
    letters = []
    for vector in (np.cross(sides[:3], sides[3:]), sides[3:], sides[:3]):
        axis = int(np.abs(vector).argmax())
        letters.append(("L", "P", "S")[axis] if vector[axis] > 0 else ("R", "A", "I")[axis])
    return "".join(letters)
