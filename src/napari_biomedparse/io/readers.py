"""Image files through bioio or its predecessor aicsimageio."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from napari_biomedparse.engine.units import UNITS, short_unit
from napari_biomedparse.io import tiff, zarr_store
from napari_biomedparse.io.reading import AXES, OpenedImage, ReadError, choose_scene, distinct, first_line

logger = logging.getLogger(__name__)

PLUGINS = {".czi": "bioio-czi", ".nd2": "bioio-nd2", ".lif": "bioio-lif", ".dv": "bioio-dv", ".sldy": "bioio-sldy"}
SECONDS = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
# Names that readers make up where the file gives none.
MADE_UP = re.compile(r"(Channel|Image):\d+(:.*)?|")


def open_reader(path: Path) -> Any:
    """Return bioio's image of a file, or aicsimageio's where only that is installed.

    Raises
    ------
    ReadError
        If the file cannot be read, or what reads it is not installed.
    """
    # Which plug-ins there are would otherwise be looked up for each file, which takes longer than opening it.
    options = {"use_plugin_cache": True}
    try:
        from bioio import BioImage as Reader
    except ImportError:
        options = {}
        try:
            from aicsimageio import AICSImage as Reader
        except ImportError:
            raise ReadError(
                "Reading files needs bioio: run pip install 'napari-biomedparse[io]' (or [aicsimageio])."
            ) from None
    # bioio announces each reader it tries in vain at warning level; the last error says enough.
    logging.getLogger("bioio").setLevel(logging.ERROR)
    try:
        return Reader(path, **options, **_chosen_reader(path))
    except Exception as error:
        logger.info("%s: %s", path, error)
        plugin = PLUGINS.get(path.suffix.lower())
        if plugin and find_spec(plugin.replace("-", "_")) is None:
            raise ReadError(f"{path} needs the plug-in {plugin} of bioio: run pip install {plugin}.") from error
        raise ReadError(
            f"{path} cannot be read as an image: it is damaged or none, or its format needs another plug-in of bioio."
        ) from error


def _chosen_reader(path: Path) -> dict[str, Any]:
    """Return which of bioio's readers to take where a file's name does not tell it."""
    if not path.is_dir() or not zarr_store.is_zarr(path):
        return {}
    try:
        from bioio_ome_zarr import Reader
    except ImportError:
        return {}
    return {"reader": Reader}


def scene_names(image: Any) -> list[str]:
    """Return the names of a file's scenes in their order, each once."""
    return distinct([str(name) for name in image.scenes])


def open_scene(path: Path, scene: str | None) -> OpenedImage:
    """Open a scene of a file that bioio reads.

    Raises
    ------
    ReadError
        If it cannot be read, has no such scene, or has axes that cannot be kept.
    """
    image = open_reader(path)
    try:
        names = scene_names(image)
        if not names:
            raise ReadError(f"{path} holds no image.")
        index = choose_scene(path, names, scene)
        image.set_scene(index)
        tiff.check_whole(path)
        _read_by_plane(image)
        return _opened(path, names[index] if len(names) > 1 else None, index, image)
    except ReadError:
        raise
    except Exception as error:
        raise ReadError(f"{path} cannot be read: {first_line(error)}") from error


def pixel_sizes(path: Path, image: Any) -> tuple[dict[str, float], str | None]:
    """Return the pixel size along Z, Y and X of a reader's scene, and its unit by its short name.

    Both are empty where the file does not say: readers report a size of 1.0 then. Sizes are in the unit of Y.
    """
    sizes = image.physical_pixel_sizes
    if sizes is None or not sizes.Y or not sizes.X:
        return {}, None
    units = _units(path, image)
    unit = units.get("Y")
    if not unit:
        return {}, None
    spacing = {}
    for axis in "ZYX":
        size, own = getattr(sizes, axis), units.get(axis) or unit
        if size and own != unit:
            size = size * UNITS[own].millimetres / UNITS[unit].millimetres if {own, unit} <= UNITS.keys() else None
        if size:
            spacing[axis] = float(size)
    return spacing, unit


def _units(path: Path, image: Any) -> dict[str, str]:
    """Return short names of the units along Z, Y and X."""
    # For OME-Zarr, OME metadata are made up from the sizes alone and then say micrometres whatever the file says.
    pixels = None if zarr_store.is_zarr(path) else _ome_pixels(image)
    found = {}
    if pixels is not None and pixels.physical_size_y:
        for axis in "ZYX":
            unit = getattr(pixels, f"physical_size_{axis.lower()}_unit", None)
            found[axis] = str(getattr(unit, "value", unit) or "")
    elif pixels is None:
        properties = getattr(image, "dimension_properties", None)
        for axis in "ZYX":
            found[axis] = str(getattr(getattr(properties, axis, None), "unit", None) or "")
    if not found.get("Y"):
        found = dict.fromkeys("ZYX", tiff.imagej_unit(path))
    return {axis: short_unit(unit) for axis, unit in found.items() if unit}


def _ome_pixels(image: Any) -> Any:
    try:
        return image.ome_metadata.images[image.current_scene_index].pixels
    except (NotImplementedError, AttributeError, IndexError):
        return None


def _time_step(path: Path, image: Any) -> float | None:
    """Return the seconds between time points, or None where the file does not say."""
    step: Any = None
    unit: Any = None
    if zarr_store.is_zarr(path):
        step = getattr(image, "time_interval", None)
        unit = getattr(getattr(getattr(image, "dimension_properties", None), "T", None), "unit", None)
        if isinstance(step, timedelta):
            step, unit = step.total_seconds(), "second"
        factor = zarr_store.SECONDS.get(str(unit))
    else:
        pixels = _ome_pixels(image)
        if pixels is None:
            return tiff.imagej_time_step(path)
        step = pixels.time_increment
        unit = getattr(pixels.time_increment_unit, "value", pixels.time_increment_unit)
        factor = SECONDS.get(str(unit))
    return float(step) * factor if step and factor else None


def _read_by_plane(image: Any) -> None:
    # By default these readers take a whole volume to be one chunk, so that each plane would read all.
    if hasattr(image.reader, "chunk_dims"):
        image.reader.chunk_dims = ["Y", "X"]


def _opened(path: Path, scene: str | None, index: int, image: Any) -> OpenedImage:
    counts = _counts(path, image)
    axes = "".join(axis for axis in AXES if axis in "YX" or counts.get(axis, 1) > 1)
    colours = counts.get("S", 0)
    levels = tiff.tiled_levels(path, index, axes + ("S" if colours else ""), counts) or _levels(image, axes, colours)
    rgb = colours in (3, 4)
    if colours and not rgb:
        levels = [level[..., 0] for level in levels]
    spacing, unit = pixel_sizes(path, image)
    step = _time_step(path, image) if "T" in axes else None
    spacing = {axis: size for axis, size in spacing.items() if axis in axes} | ({"T": step} if step else {})
    return OpenedImage(path, scene, tuple(levels), axes, rgb, spacing, unit, _channels(image, counts.get("C", 1)))


def _counts(path: Path, image: Any) -> dict[str, int]:
    """Return the lengths of a scene's axes; refuse axes that would be lost."""
    own = image.reader.dims
    lost = [f"{axis} ({own[axis][0]})" for axis in own.order if axis not in "MTCZYXS" and own[axis][0] > 1]
    if lost:
        raise ReadError(f"{path} has further axes: {', '.join(lost)}. Export it with time, channels and sections only.")
    counts = {axis: int(image.dims[axis][0]) for axis in image.dims.order}
    if counts.get("M", 1) > 1:
        raise ReadError(f"{path} is a mosaic of {counts['M']} tiles; export it as one stitched image.")
    return counts


def _levels(image: Any, axes: str, colours: int) -> list[Any]:
    levels = []
    for level in getattr(image, "resolution_levels", (0,)):
        if hasattr(image, "set_resolution_level"):
            image.set_resolution_level(level)
        levels.append(image.get_image_dask_data(axes + ("S" if colours else "")))
    if hasattr(image, "set_resolution_level"):
        image.set_resolution_level(0)
    return levels


def _channels(image: Any, count: int) -> tuple[str, ...]:
    names: Sequence[Any] = image.channel_names or ()
    texts = tuple(str(name) for name in names)
    return () if len(texts) != count or all(map(MADE_UP.fullmatch, texts)) else texts
