"""Series of DICOM slices and files with several frames, read frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.io.reading import OpenedImage, ReadError, choose_scene, first_line, lazy_array, need
from napari_biomedparse.io.zarr_store import is_zarr

SUFFIXES = (".dcm", ".dicom")
# Objects that are drawn on images and are none themselves.
SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
# Slices nearer than this, in mm, lie at the same place.
SAME_PLACE = 0.01
# How much a step between slices of one volume may differ from the usual one: as a share of it, or in mm where places
# are rounded to a tenth, but by no half of it.
UNEVEN, ROUNDED = 0.1, 0.11
# How much the directions of slices of one volume may differ, as components of unit vectors.
SAME_DIRECTION = 1e-3


@dataclass(frozen=True)
class Frame:
    """A frame of a file.

    Attributes
    ----------
    path, index
        The file, and the frame in it.
    header
        The file's data elements but the pixels.
    place
        Where it lies along the normal of its plane, in mm, or None.
    corner
        Where its first pixel lies, in mm towards the patient's left, back and head; empty where it is not given.
    direction
        Directions of rows and columns, as unit vectors one after the other; empty where they are not given.
    pixel
        Height and width of a pixel in mm; empty where they are not given.
    slope, intercept
        From stored values to those that are meant.
    """

    path: Path
    index: int
    header: Any
    place: float | None
    corner: tuple[float, ...]
    direction: tuple[float, ...]
    pixel: tuple[float, ...]
    slope: float
    intercept: float


def is_dicom(path: Path) -> bool:
    """Return whether a path is a DICOM file, or a folder that holds some and is no Zarr store."""
    if path.is_dir():
        return not is_zarr(path) and path.suffix != ".zarr" and any(True for _ in _files(path))
    if path.suffix.lower() in SUFFIXES:
        return True
    # Many are named by their identifier alone; then the letters behind the preamble tell (DICOM PS3.10, 7.1).
    with path.open("rb") as file:
        file.seek(128)
        return file.read(4) == b"DICM"


def scene_names(path: Path) -> list[str]:
    """Return the names of a folder's series in the order of their first files.

    Raises
    ------
    ReadError
        If a file is damaged, none holds an image, or pydicom is missing.
    """
    return list(_series(path))


def open_series(path: Path, scene: str | None) -> OpenedImage:
    """Open a series of a folder, or a file, in the order of the slices' places; sizes are in mm.

    Where several slices lie at each place, they are time points. Slices that lie in different directions, or do not
    say where they lie, are in the order of their numbers.

    Raises
    ------
    ReadError
        If a file is damaged, there is no image or no such series, its slices differ in size or in their steps, as
        where one is missing, or pydicom is missing.
    """
    found = _series(path)
    names = list(found)
    name = names[choose_scene(path, names, scene)]
    try:
        frames = [frame for file, header in found[name] for frame in _frames(file, header)]
        return _opened(path, name if len(names) > 1 else None, _ordered(frames))
    except ReadError:
        raise
    except Exception as error:
        raise ReadError(f"{path} cannot be read: {first_line(error)}") from error


def read_frames(path: Path) -> dict[str, list[Frame]]:
    """Return name -> frames of each series of a folder, or of a file: the names are those of :func:`scene_names`.

    Frames are in the order of their places where they all lie in one direction, else of their numbers.

    Raises
    ------
    ReadError
        If a file is damaged, none holds an image, or pydicom is missing.
    """
    return {
        name: _sorted([frame for file, header in files for frame in _frames(file, header)])
        for name, files in _series(path).items()
    }


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.is_file() and is_dicom(path))


def _series(path: Path) -> dict[str, list[tuple[Path, Any]]]:
    """Return name -> files and their headers, in the order of the files' names."""
    found: dict[str, list[tuple[Path, Any]]] = {}
    for file in [path] if path.is_file() else _files(path):
        header = read_header(file)
        if "Rows" in header and not is_segmentation(header):
            found.setdefault(str(header.get("SeriesInstanceUID", "")), []).append((file, header))
    if not found:
        raise ReadError(f"{path} holds no DICOM image.")
    texts = [str(files[0][1].get("SeriesDescription") or "").strip() for files in found.values()]
    names = [text if text and texts.count(text) == 1 else uid for text, uid in zip(texts, found, strict=True)]
    return dict(zip(names, found.values(), strict=True))


def is_segmentation(header: Any) -> bool:
    """Return whether a file holds no image, but what was drawn on one."""
    return str(header.get("SOPClassUID")) == SEGMENTATION_STORAGE


def read_header(path: Path) -> Any:
    """Return a file's data elements but the pixels.

    Raises
    ------
    ReadError
        If it is no DICOM file or is damaged, or pydicom is missing.
    """
    pydicom = need("pydicom", "Reading DICOM")
    try:
        return pydicom.dcmread(path, stop_before_pixels=True)
    except Exception as error:
        raise ReadError(f"{path} is no DICOM file or is damaged: {first_line(error)}") from error


def _frames(path: Path, header: Any) -> Iterator[Frame]:
    shared = (header.get("SharedFunctionalGroupsSequence") or [None])[0]
    own = header.get("PerFrameFunctionalGroupsSequence") or []
    count = int(header.get("NumberOfFrames") or 1)
    for index in range(count):
        groups = [header, own[index] if index < len(own) else None, shared]
        direction = _element(groups, "ImageOrientationPatient", "PlaneOrientationSequence")
        position = _element(groups, "ImagePositionPatient", "PlanePositionSequence")
        # A file with many frames but a single place says where its first frame lies.
        placed = position is not None and direction is not None and (own or count == 1)
        sides = np.asarray(direction, float) if placed else np.zeros(6)
        normal = np.cross(sides[:3], sides[3:])
        slope = _element(groups, "RescaleSlope", "PixelValueTransformationSequence")
        intercept = _element(groups, "RescaleIntercept", "PixelValueTransformationSequence")
        yield Frame(
            path,
            index,
            header,
            float(np.dot(np.asarray(position, float), normal)) if placed else None,
            tuple(map(float, position)) if placed else (),
            tuple(sides.tolist()) if placed else (),
            tuple(map(float, _element(groups, "PixelSpacing", "PixelMeasuresSequence") or ())),
            float(slope) if slope else 1.0,
            float(intercept) if intercept else 0.0,
        )


def _element(groups: Sequence[Any], name: str, sequence: str) -> Any:
    """Return a data element of the file, or of the frame's or the shared group (DICOM PS3.3, C.7.6.16)."""
    for group in groups:
        if group is None:
            continue
        inner = group.get(sequence)
        for one in (group, inner[0] if inner else None):
            if one is not None and one.get(name) is not None:
                return one.get(name)
    return None


def _ordered(frames: list[Frame]) -> list[list[Frame]]:
    """Return the slices of each time point."""
    frames = _sorted(frames)
    if not _parallel(frames):
        film = len({frame.path for frame in frames}) == 1 and _time_step(frames[0].header) is not None
        return [[frame] for frame in frames] if film else [frames]
    places = [[frames[0]]]
    for frame in frames[1:]:
        if _place(frame) - _place(places[-1][0]) > SAME_PLACE:
            places.append([])
        places[-1].append(frame)
    places = [sorted(place, key=_number) for place in places]
    counts = {len(place) for place in places}
    if len(counts) > 1:
        raise ReadError(
            f"{frames[0].path.parent} holds from {min(counts)} to {max(counts)} slices at one place: some are missing "
            "or there twice. Put each volume into a folder of its own."
        )
    _check_steps([place[0] for place in places])
    return [list(point) for point in zip(*places, strict=True)]


def _sorted(frames: list[Frame]) -> list[Frame]:
    frames = sorted(frames, key=_number)
    return sorted(frames, key=_place) if _parallel(frames) else frames


def _check_steps(slices: list[Frame]) -> None:
    """Find that neighbouring slices lie equally far apart: what reads the volume takes one step for all."""
    steps = np.diff([_place(frame) for frame in slices])
    if not len(steps):
        return
    usual = float(np.median(steps))
    worst = int(np.argmax(np.abs(steps - usual)))
    if abs(steps[worst] - usual) > max(UNEVEN * usual, min(ROUNDED, usual / 2)):
        one, other = slices[worst : worst + 2]
        raise ReadError(
            f"{one.path.parent} lacks slices, or they are not one volume: from {one.path.name} at {_place(one):.6g} mm "
            f"to {other.path.name} at {_place(other):.6g} mm the step is {steps[worst]:.3g} mm, elsewhere {usual:.3g}. "
            "Add what is missing, or put each part with equal steps into a folder of its own."
        )


def _parallel(frames: list[Frame]) -> bool:
    """Return whether all frames say where they lie, and lie in the same direction."""
    directions = np.array([frame.direction for frame in frames if frame.place is not None])
    return len(directions) == len(frames) and bool(np.allclose(directions, directions[0], atol=SAME_DIRECTION))


def _place(frame: Frame) -> float:
    return frame.place or 0.0


def _number(frame: Frame) -> tuple[float, float, float, str, int]:
    parts = [
        float(frame.header.get(name) or 0)
        for name in ("TemporalPositionIdentifier", "AcquisitionNumber", "InstanceNumber")
    ]
    return parts[0], parts[1], parts[2], frame.path.name, frame.index


def _time_step(header: Any) -> float | None:
    """Return the seconds between the frames of a film."""
    if header.get("FrameTime"):
        return float(header.FrameTime) / 1000
    return 1 / float(header.CineRate) if header.get("CineRate") else None


def _opened(path: Path, scene: str | None, points: list[list[Frame]]) -> OpenedImage:
    frames = [frame for point in points for frame in point]
    shape, dtype = shape_of(frames), dtype_of(frames)
    colours = len(shape) == 3
    chunks = [(1,) * len(points), (1,) * len(points[0]), *((length,) for length in shape)]
    array = lazy_array(lambda chunk: read_pixels(points[chunk[0]][chunk[1]], dtype)[None, None], chunks, dtype)
    lengths = dict(zip("TZ", array.shape, strict=False))
    axes = "".join(axis for axis, length in lengths.items() if length > 1)
    array = array[tuple(slice(None) if axis in axes else 0 for axis in lengths)]
    spacing = {axis: size for axis, size in _spacing(points).items() if axis in axes or axis in "YX"}
    unit = "mm" if spacing.keys() & set("ZYX") else None
    return OpenedImage(path, scene, (array,), axes + "YX", colours, spacing, unit)


def shape_of(frames: Sequence[Frame]) -> tuple[int, ...]:
    """Return the shape that all of some frames have, (H, W) or (H, W, 3).

    Raises
    ------
    ReadError
        If they differ.
    """
    shapes = {(int(frame.header.Rows), int(frame.header.Columns), _colours(frame.header)) for frame in frames}
    if len(shapes) > 1:
        raise ReadError(f"The slices in {frames[0].path.parent} differ in size; they are not one series.")
    height, width, colours = shapes.pop()
    return (height, width, 3) if colours else (height, width)


def dtype_of(frames: Sequence[Frame]) -> np.dtype[Any]:
    """Return the type of some frames' values: as they are stored where all mean just that, else float32."""
    if _colours(frames[0].header):
        return np.dtype(np.uint8)
    stored = {_stored(frame.header) for frame in frames}
    plain = len(stored) == 1 and all((frame.slope, frame.intercept) == (1.0, 0.0) for frame in frames)
    return stored.pop() if plain else np.dtype(np.float32)


def _spacing(points: list[list[Frame]]) -> dict[str, float]:
    first = points[0][0]
    found = dict(zip("YX", first.pixel, strict=False))
    if len(points[0]) > 1 and _parallel(points[0]):
        found["Z"] = float(np.median(np.diff([_place(frame) for frame in points[0]])))
    elif first.header.get("NumberOfFrames") and (step := first.header.get("SpacingBetweenSlices")):
        found["Z"] = abs(float(step))
    step = _time_step(first.header)
    return found | ({"T": step} if step else {})


def _colours(header: Any) -> bool:
    return int(header.get("SamplesPerPixel") or 1) > 1 or header.get("PhotometricInterpretation") == "PALETTE COLOR"


def _stored(header: Any) -> np.dtype[Any]:
    if "BitsAllocated" not in header:
        return np.dtype(np.float32)
    kind = "i" if int(header.get("PixelRepresentation") or 0) else "u"
    return np.dtype(f"{kind}{max(1, int(header.BitsAllocated) // 8)}")


def read_stored(frame: Frame) -> NDArray[Any]:
    """Read a frame's values as they are stored, (H, W) or (H, W, 3).

    Raises
    ------
    ReadError
        If it is damaged.
    """
    pixels = need("pydicom.pixels", "Reading DICOM")
    try:
        values: NDArray[Any] = pixels.pixel_array(frame.path, index=frame.index)
    except Exception as error:
        raise _damaged(frame.path, error) from error
    return values


def _damaged(path: Path, error: Exception) -> ReadError:
    why = first_line(error)
    return ReadError(f"{path} is damaged or cut short, or compressed in a way that needs a plug-in of pydicom: {why}")


def read_pixels(frame: Frame, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Read what a frame's values mean, (H, W), or (H, W, 3) for colours: rescaled, with palettes looked up, black low.

    Raises
    ------
    ReadError
        If it is damaged.
    """
    values = read_stored(frame)
    if frame.header.get("PhotometricInterpretation") == "PALETTE COLOR":
        try:
            values = need("pydicom.pixels", "Reading DICOM").apply_color_lut(values, frame.header)
        except Exception as error:
            raise _damaged(frame.path, error) from error
    if values.ndim == 3:
        return (values >> (8 * (values.dtype.itemsize - 1))).astype(np.uint8)[..., :3]
    if frame.header.get("PhotometricInterpretation") == "MONOCHROME1":
        # Here the lowest value is white; the same end for all slices keeps them comparable.
        bits = int(frame.header.BitsStored)
        lowest = -(2 ** (bits - 1)) if int(frame.header.get("PixelRepresentation") or 0) else 0
        values = (2 * lowest + 2**bits - 1 - values.astype(np.int64)).astype(values.dtype)
    if (frame.slope, frame.intercept) != (1.0, 0.0):
        return (values.astype(np.float32) * frame.slope + frame.intercept).astype(dtype)
    return values.astype(dtype)
