"""Read images and masks of any of the accepted formats as stacks of planes."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps

from napari_biomedparse.harmonise.dicom import read_series
from napari_biomedparse.harmonise.source import Plane, Table, colour_values
from napari_biomedparse.harmonise.volume import DICOM, LOSSY, NIFTI, PICTURE, TIFF, Volume, has_ending
from napari_biomedparse.io.reading import ReadError, need

# Axes of an array read in the order slice, row, column, as the letters of the patient's sides they grow towards.
PLANES: dict[Plane, str] = {"axial": "SPL", "coronal": "AIL", "sagittal": "RIP"}


def read_volume(path: Path, plane: Plane, channel: int | None, mask: bool = False) -> Volume:
    """Read a file, or a folder that holds a DICOM series.

    NIfTI is turned to the plane as radiologists look at it (the patient's right on the left, front or top up). Other
    stacks keep their order.

    Parameters
    ----------
    path
        PNG, JPEG, BMP, TIFF, NIfTI, DICOM file, or folder with a DICOM series.
    plane
        Which planes to cut a NIfTI volume into.
    channel
        Which channel to take where there are several, from 0.
    mask
        Whether it is a mask: then values are kept, palettes are not looked up, and colours become values as
        :func:`~napari_biomedparse.harmonise.source.colour_values` says. Of a JPEG, what is brighter than half is true.

    Raises
    ------
    ReadError
        If the file cannot be read, or needs a channel to be chosen.
    """
    if not path.exists():
        raise ReadError(f"There is no file {path}.")
    if has_ending(path, NIFTI):
        return _read_nifti(path, plane, channel)
    if path.is_dir() or has_ending(path, DICOM):
        if plane != "axial":
            raise ReadError(f"{path}: DICOM is cut as it was acquired; plane: {plane} is for NIfTI only.")
        volume = read_series(path, mask)
    elif has_ending(path, TIFF):
        volume = _read_tiff(path, channel)
    elif has_ending(path, PICTURE):
        pixels = _read_picture(path, mask)
        volume = Volume(pixels[None], True)
    else:
        raise ReadError(f"{path} is none of PNG, JPEG, BMP, TIFF, NIfTI and DICOM.")
    return replace(volume, planes=colour_values(volume.planes)) if mask and volume.planes.ndim == 4 else volume


def _read_picture(path: Path, mask: bool) -> NDArray[Any]:
    with Image.open(path) as file:
        # As every viewer shows it, and so as it was annotated.
        picture: Image.Image = ImageOps.exif_transpose(file)
        if mask and has_ending(path, LOSSY):
            grey = np.asarray(picture.convert("L"))
            return np.asarray(grey > grey.max() / 2)
        if picture.mode == "1" and not mask:
            picture = picture.convert("L")
        elif (picture.mode == "P" and not mask) or picture.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
            picture = picture.convert("RGB")
        elif picture.mode in ("LA", "PA"):
            picture = picture.convert("L")
        return np.asarray(picture)


def _read_tiff(path: Path, channel: int | None) -> Volume:
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        pixels, axes = series.asarray(), series.axes
    if "S" in axes:
        pixels, axes = np.moveaxis(pixels, axes.index("S"), -1), axes.replace("S", "") + "S"
        if pixels.shape[-1] not in (3, 4):
            pixels, axes = pixels[..., 0], axes[:-1]
    if "C" in axes:
        place = axes.index("C")
        pixels = np.take(pixels, _channel(path, channel, pixels.shape[place]), axis=place)
        axes = axes.replace("C", "")
    colour = pixels.shape[-1:] if axes.endswith("S") else ()
    height, width = pixels.shape[len(axes) - len(colour) - 2 : len(axes) - len(colour)]
    planes = pixels.reshape(-1, height, width, *colour)
    return Volume(planes, len(planes) == 1)


def _channel(path: Path, channel: int | None, count: int) -> int:
    if count == 1:
        return 0
    if channel is None:
        raise ReadError(f"{path} has {count} channels; choose one with channel: 0 to {count - 1} in the description.")
    if channel >= count:
        raise ReadError(f"{path} has no channel {channel}; it has {count}, counted from 0.")
    return channel


def _read_nifti(path: Path, plane: Plane, channel: int | None) -> Volume:
    nibabel = need("nibabel", "Reading NIfTI")
    file = nibabel.load(path)
    if not 2 <= len(file.shape) <= 5:
        raise ReadError(f"{path} has the shape {file.shape}; a volume has three axes, and perhaps channels.")
    raw = np.asanyarray(file.dataobj)
    raw = raw.reshape(*raw.shape, *[1] * (3 - raw.ndim))
    raw = raw.reshape(*raw.shape[:3], -1)
    pixels = raw[..., _channel(path, channel, raw.shape[3])]
    if pixels.dtype == np.float64:
        pixels = pixels.astype(np.float32)
    turns = nibabel.orientations
    turn = turns.ornt_transform(turns.io_orientation(file.affine), turns.axcodes2ornt(tuple(PLANES[plane])))
    planes = turns.apply_orientation(pixels, turn)
    affine = file.affine @ turns.inv_ornt_aff(turn, pixels.shape)
    height, width = map(float, np.linalg.norm(affine[:3, 1:3], axis=0))
    return Volume(planes, planes.shape[0] == 1, PLANES[plane], affine, (height, width))


def nifti_labels(path: Path) -> Table:
    """Return the names that a NIfTI file's extension gives its values, as TotalSegmentator and Caret write them."""
    nibabel = need("nibabel", "Reading NIfTI")
    table: Table = {}
    for extension in nibabel.load(path).header.extensions:
        content = extension.get_content()
        text = content.decode("utf-8", "replace") if isinstance(content, bytes) else str(content)
        for attributes, name in re.findall(r"<Label\b([^>]*)>([^<]+)</Label>", text):
            key = re.search(r'\bKey="(\d+)"', attributes)
            if key and int(key[1]):
                table.setdefault(html.unescape(name).strip(), []).append(int(key[1]))
    return table
