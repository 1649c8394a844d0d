"""Sample images that ship with the package; where they are from is told in ``resources/samples/README.md``."""

from __future__ import annotations

from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from skimage.io import imread
from skimage.transform import downscale_local_mean

from napari_biomedparse.plugin.layers import METADATA_KEY

if TYPE_CHECKING:
    import dask.array

LayerData = tuple[Any, dict[str, Any], str]

# Side of the large picture and of its chunks in pixels, and how often it is halved.
SIDE = 8192
CHUNK = 512
HALVED = 3
# Milliseconds between the frames of the ultrasound, as its file states.
FRAME_TIME = 33.333


def fluorescent_nuclei() -> list[LayerData]:
    """Return stained nuclei from the 2018 Data Science Bowl (BBBC038, CC0)."""
    return _sample("fluorescent_nuclei.png", "fluorescent nuclei", "yx")


def histology() -> list[LayerData]:
    """Return an H&E section from the 2018 Data Science Bowl (BBBC038, CC0)."""
    return _sample("histology.png", "histology", "yx")


def chest_xray() -> list[LayerData]:
    """Return a chest film of the Hannover COVID-19 image repository (CC BY 3.0)."""
    return _sample("chest_xray.png", "chest X-ray", "yx")


def heart_mri() -> list[LayerData]:
    """Return nine neighbouring short-axis sections of a heart at one phase (Sunnybrook Cardiac Data, CC0)."""
    return _sample("heart_mri.tif", "heart MRI", "zyx")


def heart_ultrasound() -> list[LayerData]:
    """Return 30 frames of a beating heart (GDCM's test data, BSD-3-Clause); time in milliseconds."""
    return _sample(
        "heart_ultrasound.tif",
        "heart ultrasound",
        "tyx",
        scale=(FRAME_TIME, 1, 1),
        units=("millisecond", "pixel", "pixel"),
    )


def large_histology() -> list[LayerData]:
    """Return 8192 x 8192 pixels made by mirroring the H&E section, computed where they are looked at, in four sizes."""
    picture = _read("histology.png")
    levels = []
    for level in range(HALVED + 1):
        smaller = downscale_local_mean(picture, (2**level, 2**level, 1)).round().astype(np.uint8)
        levels.append(_mirrored(smaller, SIDE // 2**level))
    settings = {"name": "histology, mirrored", "axis_labels": ("y", "x"), "rgb": True, "multiscale": True}
    return [(levels, settings, "image")]


def _read(file: str) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = imread(_path(file))
    return pixels


def _path(file: str) -> str:
    return str(files("napari_biomedparse").joinpath("resources/samples", file))


def _sample(file: str, name: str, axes: str, **settings: Any) -> list[LayerData]:
    # So that scripts and commands copied from the dock name the file.
    about = {METADATA_KEY: {"file": _path(file)}}
    return [(_read(file), {"name": name, "axis_labels": tuple(axes), "metadata": about, **settings}, "image")]


def _mirrored(picture: NDArray[np.uint8], side: int) -> dask.array.Array:
    """Return a square of ``side`` pixels, tiled with a picture so that it meets its mirror image at every edge."""
    import dask.array

    count, rest = divmod(side, CHUNK)
    lengths = (CHUNK,) * count + ((rest,) if rest else ())
    tiled: dask.array.Array = dask.array.map_blocks(  # type: ignore[no-untyped-call]
        partial(_chunk, picture),
        chunks=(lengths, lengths, (picture.shape[2],)),
        dtype=picture.dtype,
        meta=np.empty((0, 0, 0), picture.dtype),
    )
    return tiled


def _chunk(picture: NDArray[np.uint8], block_info: Any = None) -> NDArray[np.uint8]:
    (top, bottom), (left, right), _ = block_info[None]["array-location"]
    rows = _there_and_back(np.arange(top, bottom), picture.shape[0])
    columns = _there_and_back(np.arange(left, right), picture.shape[1])
    return picture[np.ix_(rows, columns)]


def _there_and_back(at: NDArray[np.int_], length: int) -> NDArray[np.int_]:
    within = at % (2 * length)
    return np.minimum(within, 2 * length - 1 - within)
