"""Read one plane of an image file through bioio or its predecessor aicsimageio."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.measure import PixelSize
from napari_biomedparse.engine.preprocess import ImageError, check_image, check_width
from napari_biomedparse.engine.selection import COLOURS
from napari_biomedparse.io.readers import lazy_pixels, open_reader
from napari_biomedparse.io.reading import ReadError as ReadError
from napari_biomedparse.io.reading import first_line
from napari_biomedparse.io.sizes import pixel_sizes, time_step


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
    """A plane of a file: time point, channel and section, from 0, each None where the file has just one.

    Of colours ``c`` is 0 for red, 1 for green or 2 for blue, and None for all of them together.
    """

    t: int | None
    c: int | None
    z: int | None


def read_picture(path: Path, t: int | None = None, c: int | None = None, z: int | None = None) -> Picture:
    """Read one plane.

    Parameters
    ----------
    path
        Any file that bioio and its installed plug-ins read.
    t, c, z
        Time point, channel and section, from 0; needed where the file has more than one. Of a picture in colours ``c``
        is 0 for red, 1 for green or 2 for blue, which is read as grey; by default all of them are.

    Raises
    ------
    ReadError
        If the file is missing or unreadable, or a needed index is not given or not there.
    ImageError
        If the plane is not an image that can be segmented, or is 64-bit.
    """
    if not path.exists():
        raise ReadError(f"There is no file {path}.")
    image = open_reader(path)
    try:
        colour = "S" in image.dims.order
        # Which colour, where colours are all the channels there are.
        samples = int(image.dims.S) if colour and ("C" not in image.dims.order or int(image.dims.C) == 1) else 0
        own = c if samples > 2 else None
        wanted = (("T", t), ("C", c if own is None else None), ("Z", z))
        indices = {name: _index(path, image, name, given) for name, given in wanted}
        lazy = lazy_pixels(path, image, "YXS" if colour else "YX", **indices)
        pixels: NDArray[np.generic] = np.asarray(lazy.compute())
        spacing, unit = pixel_sizes(path, image)
        size = PixelSize(spacing["Y"], spacing["X"], unit) if unit else None
    except ReadError:
        raise
    except Exception as error:
        raise ReadError(f"{path} cannot be read: {first_line(error)}") from error
    if pixels.ndim == 3 and pixels.shape[-1] not in (3, 4):
        pixels = pixels[..., 0]
    if own is not None:
        if not 0 <= own < len(COLOURS):
            raise ReadError(f"{path} has no colour {own}: 0 is red, 1 green, 2 blue.")
        pixels = pixels[..., own]
    try:
        check_width(pixels.dtype)
        check_image(pixels)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None
    return Picture(path, pixels, size)


def read_array(path: str | Path, axes: str, rgb: bool = False, level: int = 0) -> Any:
    """Return a whole image as a lazy array (dask).

    Parameters
    ----------
    path
        Any file that bioio and its installed plug-ins read.
    axes
        The wanted axes in order, a letter of T, C, Z, Y, X each; along others the file must have just one plane.
    rgb
        Whether colours, as a last axis, are wanted too.
    level
        Of a pyramid; 0 is the finest.

    Raises
    ------
    ReadError
        If the file is missing or unreadable, or has not these axes.
    """
    path = Path(path)
    if not path.exists():
        raise ReadError(f"There is no file {path}.")
    image = open_reader(path)
    if level:
        levels = getattr(image, "resolution_levels", (0,))
        if level >= len(levels):
            raise ReadError(f"{path} has {len(levels)} levels, so there is no level {level}.")
        image.set_resolution_level(levels[level])
    try:
        order = str(image.dims.order)
        counts = {letter: int(image.dims[letter][0]) for letter in order}
        array = lazy_pixels(path, image, axes + ("S" if rgb else ""))
    except Exception as error:
        raise ReadError(f"{path} cannot be read as {axes}: {first_line(error)}") from error
    lost = [letter for letter, count in counts.items() if count > 1 and letter not in axes and letter != "S"]
    if lost or ("S" in counts) != rgb:
        raise ReadError(f"{path} has the axes {order}, not {axes}{' and colours' if rgb else ''}.")
    return array


def sizes_of(path: str | Path) -> tuple[dict[str, float], str | None]:
    """Return the distance between pixels of a file's finest level along Z, Y and X, their unit, and along T in seconds.

    Parameters
    ----------
    path
        Any file that bioio and its installed plug-ins read.

    Returns
    -------
    tuple
        Sizes by axis, as far as the file says, and the unit's short name, or None without any.

    Raises
    ------
    ReadError
        If the file is unreadable.
    """
    path = Path(path)
    image = open_reader(path)
    spacing, unit = pixel_sizes(path, image)
    step = time_step(path, image)
    return spacing | ({"T": step} if step else {}), unit


def _index(path: Path, image: Any, name: str, given: int | None) -> int:
    count = int(image.dims[name][0]) if name in image.dims.order else 1
    if given is None:
        if count > 1:
            option = f"--{name.lower()} 0 to {count - 1}"
            raise ReadError(f"{path} has {count} planes along {name}; choose one with {option}.")
        return 0
    if not 0 <= given < count:
        raise ReadError(f"{path} has no {name} plane {given}; it has {count}, counted from 0.")
    return given
