"""DICOM: series of slices, single files, and segmentation objects (DICOM PS3.3, A.51)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.harmonise.source import Table
from napari_biomedparse.harmonise.volumes import Volume, VolumeError, need

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
# Two places are the same where they are nearer than this share of the distance between slices, or of a pixel.
NEAR = 0.5


def read_series(path: Path) -> Volume:
    """Read a folder of slices in the order of their places, or one file with one or several frames.

    Values are in the units of RescaleSlope and RescaleIntercept (Hounsfield for CT); MONOCHROME1 is inverted.

    Raises
    ------
    VolumeError
        If the folder holds no image or several series, or its slices do not fit together.
    """
    if path.is_file():
        data = _dataset(path)
        pixels, colour = _values(data), int(data.get("SamplesPerPixel") or 1) > 1
        frames = pixels.reshape(-1, *pixels.shape[-3 if colour else -2 :])
        return Volume(frames, len(frames) == 1)
    slices = [data for data in map(_dataset, _files(path)) if "PixelData" in data and not _is_segmentation(data)]
    if not slices:
        raise VolumeError(f"{path} holds no DICOM image.")
    series = {str(data.get("SeriesInstanceUID")) for data in slices}
    if len(series) > 1:
        raise VolumeError(f"{path} holds {len(series)} DICOM series; put each into a folder of its own.")
    if "ImagePositionPatient" in slices[0]:
        slices.sort(key=_place)
    else:
        slices.sort(key=lambda data: int(data.get("InstanceNumber") or 0))
    planes = [_values(data) for data in slices]
    if len({plane.shape for plane in planes}) > 1:
        raise VolumeError(f"The slices in {path} differ in size; they are not one series.")
    return Volume(np.stack(planes), len(planes) == 1, _axes(slices[0]))


def segment_labels(path: Path) -> Table:
    """Return label -> number of the segments of a DICOM segmentation, without reading its pixels.

    Raises
    ------
    VolumeError
        If the file is no DICOM segmentation.
    """
    data = _dataset(path, header=True)
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
    VolumeError
        If a frame lies on no slice, or differs from the slices in size, direction or place.
    """
    data = _dataset(path)
    _check_segmentation(data, path)
    headers = [_dataset(file, header=True) for file in _files(series)]
    slices = [one for one in headers if "ImagePositionPatient" in one and not _is_segmentation(one)]
    if not slices:
        raise VolumeError(f"{series} holds no DICOM image that says where it lies.")
    slices.sort(key=_place)
    places = np.array([_place(one) for one in slices])
    step = float(np.diff(places).min()) if len(places) > 1 else 1.0
    frames = data.pixel_array.reshape(-1, data.Rows, data.Columns)
    if (data.Rows, data.Columns) != (slices[0].Rows, slices[0].Columns):
        raise VolumeError(f"{path} and its series differ in size: {data.Rows}x{data.Columns}.")
    limit = float(data.get("MaximumFractionalValue", 1)) / 2
    masks: dict[int, NDArray[np.bool_]] = {
        int(segment.SegmentNumber): np.zeros((len(slices), data.Rows, data.Columns), bool)
        for segment in data.SegmentSequence
    }
    shared = data.get("SharedFunctionalGroupsSequence") or [None]
    for frame, about in zip(frames, data.PerFrameFunctionalGroupsSequence, strict=True):
        direction = _group(about, shared[0], "PlaneOrientationSequence").ImageOrientationPatient
        if not np.allclose(direction, slices[0].ImageOrientationPatient, atol=1e-3):
            raise VolumeError(f"{path} is drawn in another direction than its series.")
        position = _group(about, shared[0], "PlanePositionSequence").ImagePositionPatient
        place = float(np.dot(np.asarray(position, float), _normal(slices[0])))
        nearest = int(np.abs(places - place).argmin())
        if abs(places[nearest] - place) > NEAR * step:
            raise VolumeError(f"{path} has a frame at {place:.1f} mm, where its series has no slice.")
        shift = np.asarray(position, float) - np.asarray(slices[nearest].ImagePositionPatient, float)
        shift -= np.dot(shift, _normal(slices[0])) * _normal(slices[0])
        if np.linalg.norm(shift) > NEAR * min(map(float, slices[nearest].get("PixelSpacing") or [1.0])):
            raise VolumeError(f"{path} lies {np.linalg.norm(shift):.1f} mm beside its series.")
        segment = int(_group(about, shared[0], "SegmentIdentificationSequence").ReferencedSegmentNumber)
        masks[segment][nearest] |= frame > limit
    return masks


def _group(own: Any, shared: Any, name: str) -> Any:
    sequence = own.get(name) or (shared.get(name) if shared is not None else None)
    if not sequence:
        raise VolumeError(f"A frame of the DICOM segmentation lacks its {name}.")
    return sequence[0]


def _check_segmentation(data: Any, path: Path) -> None:
    if not _is_segmentation(data) or not data.get("SegmentSequence"):
        raise VolumeError(f"{path} is no DICOM segmentation; name its values with labels in the description.")


def _is_segmentation(data: Any) -> bool:
    return str(data.get("SOPClassUID")) == SEGMENTATION_STORAGE


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_file() and _is_dicom(path)]


def _is_dicom(path: Path) -> bool:
    if path.suffix.lower() in (".dcm", ".dicom"):
        return True
    # Many are named by their identifier alone; then the letters behind the preamble tell (DICOM PS3.10, 7.1).
    with path.open("rb") as file:
        file.seek(128)
        return file.read(4) == b"DICM"


def _dataset(path: Path, header: bool = False) -> Any:
    pydicom = need("pydicom", "Reading DICOM")
    try:
        return pydicom.dcmread(path, stop_before_pixels=header)
    except pydicom.errors.InvalidDicomError:
        raise VolumeError(f"{path} is no DICOM file.") from None


def _values(data: Any) -> NDArray[Any]:
    raw = data.pixel_array
    slope, intercept = float(data.get("RescaleSlope", 1) or 1), float(data.get("RescaleIntercept", 0) or 0)
    values: NDArray[Any] = raw if (slope, intercept) == (1, 0) else raw.astype(np.float32) * slope + intercept
    if str(data.get("PhotometricInterpretation")) == "MONOCHROME1":
        values = values.max() - values
    return values


def _normal(data: Any) -> NDArray[np.float64]:
    direction = np.asarray(data.ImageOrientationPatient, float)
    normal: NDArray[np.float64] = np.cross(direction[:3], direction[3:])
    return normal


def _place(data: Any) -> float:
    """Return where a slice lies along the direction that its series was taken in, in mm."""
    return float(np.dot(np.asarray(data.ImagePositionPatient, float), _normal(data)))


def _axes(data: Any) -> str:
    """Return the patient's sides to which slice, row and column grow; empty where DICOM does not say."""
    if "ImageOrientationPatient" not in data:
        return ""
    direction = np.asarray(data.ImageOrientationPatient, float)
    letters = []
    for vector in (_normal(data), direction[3:], direction[:3]):
        axis = int(np.abs(vector).argmax())
        letters.append(("L", "P", "S")[axis] if vector[axis] > 0 else ("R", "A", "I")[axis])
    return "".join(letters)
