"""Read a plane of an image file, or the array that a recipe's axes tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.measure import PixelSize
from napari_biomedparse.engine.preprocess import ImageError, check_image, check_width
from napari_biomedparse.engine.selection import COLOURS
from napari_biomedparse.io import dicom, volumes
from napari_biomedparse.io.opened import OpenedImage, open_image, scenes
from napari_biomedparse.io.reading import ReadError as ReadError
from napari_biomedparse.io.reading import first_line


@dataclass(frozen=True)
class Picture:
    """One plane of an image file.

    Attributes
    ----------
    path
        The file.
    pixels
        (H, W), or (H, W, 3 or 4) for colour.
    pixel_size
        Physical size of a pixel, or None if the file does not say.
    """

    path: Path
    pixels: NDArray[np.generic]
    pixel_size: PixelSize | None


class PlaneIndex(NamedTuple):
    """A plane of a file: time point, channel and section, from 0, and scene, each None where the file has just one.

    Of colours ``c`` is 0 for red, 1 for green or 2 for blue, and None for all of them together.
    """

    t: int | None = None
    c: int | None = None
    z: int | None = None
    scene: str | None = None


# That of a file with just one.
ONLY = PlaneIndex()


def read_picture(path: Path, plane: PlaneIndex = ONLY) -> Picture:
    """Read one plane.

    Parameters
    ----------
    path
        Any image that :func:`~napari_biomedparse.io.opened.open_image` opens.
    plane
        Which one; needed where the file has more than one. Of a picture in colours ``c`` is the colour that is read as
        grey; by default all of them are read.

    Raises
    ------
    ReadError
        If the file is missing or unreadable, or a needed index is not given or not there.
    ImageError
        If the plane is not an image that can be segmented, or is 64-bit.
    """
    image = _open(path, plane.scene)
    colour = plane.c if image.rgb else None
    if colour is not None and not 0 <= colour < len(COLOURS):
        raise ReadError(f"{path} has no colour {colour}: 0 is red, 1 green, 2 blue.")
    given = {"T": plane.t, "C": None if image.rgb else plane.c, "Z": plane.z}
    chosen = {axis: _index(image, axis, index) for axis, index in given.items()}
    lazy = image.levels[0][tuple(chosen.get(axis, slice(None)) for axis in image.axes)]
    try:
        pixels: NDArray[np.generic] = np.asarray(lazy.compute())
    except ReadError:
        raise
    except Exception as error:
        raise ReadError(f"{path} cannot be read: {first_line(error)}") from error
    if colour is not None:
        pixels = pixels[..., colour]
    try:
        check_width(pixels.dtype)
        check_image(pixels)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None
    y, x = image.spacing.get("Y"), image.spacing.get("X")
    size = PixelSize(y, x, image.unit) if y and x and image.unit else None
    return Picture(path, pixels, size)


def read_array(path: str | Path, axes: str, rgb: bool = False, level: int = 0, scene: str | None = None) -> Any:
    """Return a whole image as a lazy array (dask).

    Parameters
    ----------
    path
        Any file that bioio and its installed plug-ins read, or an OME-Zarr folder.
    axes
        The wanted axes in order, a letter of T, C, Z, Y, X each; along others the file must have just one plane. Where
        just one differs, it is the same by another name: many files do not say whether their pages are Z or T.
    rgb
        Whether colours, as a last axis, are wanted too.
    level
        Of a pyramid; 0 is the finest.
    scene
        Which image, of a file that holds several.

    Raises
    ------
    ReadError
        If the file is missing or unreadable, or has not these axes, or is a NIfTI or DICOM, whose planes lie otherwise
        in what other programs show.
    """
    path = Path(path)
    image = _open(path, scene)
    if volumes.is_nifti(path) or dicom.is_dicom(path):
        raise ReadError(
            f"{path} is a scan, which each program turns in another way; parse it with napari-biomedparse batch."
        )
    if level >= len(image.levels):
        raise ReadError(f"{path} has {len(image.levels)} levels, so there is no level {level}.")
    more, fewer = [[a for a in one if a not in other] for one, other in ((image.axes, axes), (axes, image.axes))]
    own = image.axes
    if len(more) == len(fewer) == 1 and "C" not in more + fewer:
        own, more, fewer = own.replace(more[0], fewer[0]), [], []
    if more or image.rgb != rgb:
        there = image.axes + (" and colours" if image.rgb else "")
        raise ReadError(f"{path} has the axes {there}, not {axes}{' and colours' if rgb else ''}.")
    array = image.levels[level]
    array = array[(np.newaxis,) * len(fewer)]
    order = "".join(fewer) + own
    return array.transpose([order.index(letter) for letter in axes] + ([len(order)] if rgb else []))


def _open(path: Path, scene: str | None) -> OpenedImage:
    names = scenes(path)
    if scene is None and len(names) > 1:
        raise ReadError(f"{path} holds several images; choose one with --scene: {', '.join(map(repr, names))}.")
    return open_image(path, scene)


def _index(image: OpenedImage, axis: str, given: int | None) -> int:
    count = int(image.levels[0].shape[image.axes.index(axis)]) if axis in image.axes else 1
    if given is None:
        if count > 1:
            option = f"--{axis.lower()} 0 to {count - 1}"
            raise ReadError(f"{image.path} has {count} planes along {axis}; choose one with {option}.")
        return 0
    if not 0 <= given < count:
        raise ReadError(f"{image.path} has no {axis} plane {given}; it has {count}, counted from 0.")
    return given
