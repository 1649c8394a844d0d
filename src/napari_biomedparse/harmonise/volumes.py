"""Read images and masks of any of the accepted formats as stacks of planes."""

from __future__ import annotations

import html
import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps

from napari_biomedparse.harmonise.source import Plane, Table, colour_values

# Axes of an array read in the order slice, row, column, as the letters of the patient's sides they grow towards.
PLANES: dict[Plane, str] = {"axial": "SPL", "coronal": "AIL", "sagittal": "RIP"}


class VolumeError(ValueError):
    """A file that cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Volume:
    """Planes of one image or mask.

    Attributes
    ----------
    planes
        (S, H, W), or (S, H, W, 3 or 4) for colour.
    flat
        Whether the file holds just one plane.
    axes
        For scans, the patient's sides to which slice, row and column grow, for example ``"SPL"``.
    affine
        For scans, voxel (slice, row, column, 1) to millimetres (right, anterior, superior, 1), float (4, 4).
    """

    planes: NDArray[Any]
    flat: bool
    axes: str = ""
    affine: NDArray[np.float64] | None = None

    @property
    def square(self) -> tuple[int, int]:
        """Height and width of its planes where pixels are square, as high and wide as the finer of their sides."""
        height, width = self.planes.shape[1:3]
        if self.affine is None:
            return height, width
        sides = np.linalg.norm(self.affine[:3, 1:3], axis=0)
        rows, columns = np.rint((height, width) * sides / sides.min()).astype(int)
        return int(rows), int(columns)


def need(module: str, use: str) -> Any:
    """Return a module of the extra ``data``.

    Raises
    ------
    VolumeError
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        name = module.partition(".")[0]
        raise VolumeError(f"{use} needs {name}: run pip install 'napari-biomedparse[data]'.") from None


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
    VolumeError
        If the file cannot be read, or needs a channel to be chosen.
    """
    name = path.name.lower()
    if not path.exists():
        raise VolumeError(f"There is no file {path}.")
    if name.endswith((".nii", ".nii.gz")):
        return _read_nifti(path, plane, channel)
    if path.is_dir() or name.endswith((".dcm", ".dicom")):
        if plane != "axial":
            raise VolumeError(f"{path}: DICOM is cut as it was acquired; plane: {plane} is for NIfTI only.")
        from napari_biomedparse.harmonise.dicom import read_series

        return read_series(path)
    if name.endswith((".tif", ".tiff")):
        volume = _read_tiff(path, channel)
    elif name.endswith((".png", ".jpg", ".jpeg", ".bmp")):
        pixels = _read_picture(path, mask)
        volume = Volume(pixels[None], True)
    else:
        raise VolumeError(f"{path} is none of PNG, JPEG, BMP, TIFF, NIfTI and DICOM.")
    return Volume(colour_values(volume.planes), volume.flat) if mask and volume.planes.ndim == 4 else volume


def is_lossy(path: Path) -> bool:
    """Return whether a file's format blurs values, so that no more than two can be told apart."""
    return path.suffix.lower() in (".jpg", ".jpeg")


def _read_picture(path: Path, mask: bool) -> NDArray[Any]:
    with Image.open(path) as file:
        # As every viewer shows it, and so as it was annotated.
        picture: Image.Image = ImageOps.exif_transpose(file)
        if mask and is_lossy(path):
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
        raise VolumeError(f"{path} has {count} channels; choose one with channel: 0 to {count - 1} in the description.")
    if channel >= count:
        raise VolumeError(f"{path} has no channel {channel}; it has {count}, counted from 0.")
    return channel


def _read_nifti(path: Path, plane: Plane, channel: int | None) -> Volume:
    nibabel = need("nibabel", "Reading NIfTI")
    file = nibabel.load(path)
    if not 2 <= len(file.shape) <= 5:
        raise VolumeError(f"{path} has the shape {file.shape}; a volume has three axes, and perhaps channels.")
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
    return Volume(planes, planes.shape[0] == 1, PLANES[plane], affine)


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


def check_aligned(image: Volume, mask: Volume, path: Path) -> None:
    """Refuse a mask that does not lie on its image.

    Raises
    ------
    VolumeError
        If their shapes, orientations or places in space differ.
    """
    if image.planes.shape[:3] != mask.planes.shape[:3]:
        shapes = " and ".join("x".join(map(str, one.planes.shape[:3])) for one in (mask, image))
        raise VolumeError(f"{path} and its image differ in size: {shapes} (slices x height x width).")
    if image.axes and mask.axes and image.axes != mask.axes:
        raise VolumeError(f"{path} and its image are cut in different directions ({mask.axes} and {image.axes}).")
    # A tenth of a millimetre per voxel and a millimetre in all is more than rounding in headers makes.
    limits = [0.1, 0.1, 0.1, 1.0]
    placed = image.affine is not None and mask.affine is not None
    if placed and not np.allclose(image.affine, mask.affine, rtol=0, atol=limits):  # type: ignore[arg-type]
        raise VolumeError(f"{path} and its image lie in different places (their NIfTI affines differ).")
