"""Pixel sizes and the time between images, as one of bioio's readers, or aicsimageio's, tells them."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

from napari_biomedparse.engine.units import UNITS, short_unit
from napari_biomedparse.io import tiff, zarr_store

logger = logging.getLogger(__name__)

SECONDS = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
# Their formats keep metres, of which bioio's readers make micrometres; no unit is told with them.
IN_MICROMETRES = (".czi", ".lif")


def pixel_sizes(path: Path, image: Any) -> tuple[dict[str, float], str | None]:
    """Return the pixel size along Z, Y and X of a reader's scene, and its unit by its short name.

    Both are empty where the file does not say: readers report a size of 1.0 then. Sizes are in the unit of Y.
    """
    sizes = _told(image, "physical_pixel_sizes")
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


def time_step(path: Path, image: Any) -> float | None:
    """Return the seconds between time points, or None where the file does not say."""
    step: Any = _told(image, "time_interval")
    told = (step.total_seconds() or None) if isinstance(step, timedelta) else None
    if zarr_store.is_zarr(path):
        unit = getattr(getattr(_told(image, "dimension_properties"), "T", None), "unit", None)
        factor = zarr_store.SECONDS.get(str(unit))
        return told or (float(step) * factor if step and factor else None)
    if path.suffix.lower() == ".lif":
        times = image.xarray_dask_data.coords.get("T", [])
        return float(times[1] - times[0]) if len(times) > 1 else None
    pixels = _ome_pixels(image)
    if pixels is None:
        return told or tiff.imagej_time_step(path)
    step = pixels.time_increment
    factor = SECONDS.get(str(getattr(pixels.time_increment_unit, "value", pixels.time_increment_unit)))
    return float(step) * factor if step and factor else told


def _units(path: Path, image: Any) -> dict[str, str]:
    """Return short names of the units along Z, Y and X."""
    if path.suffix.lower() in IN_MICROMETRES:
        return dict.fromkeys("ZYX", "um")
    # For OME-Zarr, OME metadata are made up from the sizes alone and then say micrometres whatever the file says.
    pixels = None if zarr_store.is_zarr(path) else _ome_pixels(image)
    found = {}
    if pixels is not None and pixels.physical_size_y:
        for axis in "ZYX":
            unit = getattr(pixels, f"physical_size_{axis.lower()}_unit", None)
            found[axis] = str(getattr(unit, "value", unit) or "")
    elif pixels is None:
        properties = _told(image, "dimension_properties")
        for axis in "ZYX":
            found[axis] = str(getattr(getattr(properties, axis, None), "unit", None) or "")
    if not found.get("Y"):
        found = dict.fromkeys("ZYX", tiff.imagej_unit(path))
    return {axis: short_unit(unit) for axis, unit in found.items() if unit}


def _ome_pixels(image: Any) -> Any:
    metadata = _told(image, "ome_metadata")
    try:
        return metadata.images[image.current_scene_index].pixels
    except (AttributeError, IndexError):
        return None


def _told(image: Any, name: str) -> Any:
    """Return what a reader tells about an image, or None if it does not: that is no reason not to read the pixels."""
    try:
        return getattr(image, name, None)
    except Exception as error:
        logger.info("%s: %s", name, error)
        return None
