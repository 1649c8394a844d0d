"""Image files through bioio or its predecessor aicsimageio."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from napari_biomedparse.io import czi, tiff, zarr_store
from napari_biomedparse.io.reading import AXES, OpenedImage, ReadError, choose_scene, distinct, first_line
from napari_biomedparse.io.sizes import pixel_sizes, time_step

logger = logging.getLogger(__name__)

PLUGINS = {".czi": "bioio-czi", ".nd2": "bioio-nd2", ".lif": "bioio-lif", ".dv": "bioio-dv", ".sldy": "bioio-sldy"}
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


def _czi_levels(path: Path, image: Any, axes: str) -> list[Any]:
    """Return the levels of a CZI's scene, none of another file's."""
    if path.suffix.lower() != ".czi":
        return []
    counts = {axis: int(image.dims[axis][0]) for axis in image.dims.order}
    levels = czi.tiled_levels(path, image.current_scene_index, axes, counts)
    if not levels and "S" in axes:
        # What bioio-czi 3 gives lazily is blue first, or one colour three times.
        raise ReadError(f"{path} cannot be read with its colours: pip install pylibCZIrw, or export it as OME-TIFF.")
    return levels


def _read_by_plane(image: Any) -> None:
    # By default these readers take a whole volume to be one chunk, so that each plane would read all.
    if hasattr(image.reader, "chunk_dims"):
        image.reader.chunk_dims = ["Y", "X"]


def _opened(path: Path, scene: str | None, index: int, image: Any) -> OpenedImage:
    counts = _counts(path, image)
    axes = "".join(axis for axis in AXES if axis in "YX" or counts.get(axis, 1) > 1)
    colours = counts.get("S", 0)
    wanted = axes + ("S" if colours else "")
    levels = (
        tiff.tiled_levels(path, index, wanted, counts) or _czi_levels(path, image, wanted) or _levels(image, wanted)
    )
    rgb = colours in (3, 4)
    if colours and not rgb:
        levels = [level[..., 0] for level in levels]
    names = _channels(image, counts.get("C", 1))
    if rgb and "C" in axes:
        axes, names = _pages(path, axes), ()
    spacing, unit = pixel_sizes(path, image)
    step = time_step(path, image) if "T" in axes else None
    spacing = {axis: size for axis, size in spacing.items() if axis in axes} | ({"T": step} if step else {})
    return OpenedImage(path, scene, tuple(levels), axes, rgb, spacing, unit, names)


def _pages(path: Path, axes: str) -> str:
    """Return the axes of pictures in colours: several of them are no channels but sections or time points.

    Plain TIFF does not say what its pages are, and bioio calls those in colours channels.
    """
    for axis in "ZT":
        if axis not in axes:
            return axes.replace("C", axis)
    raise ReadError(f"{path} has several channels of pictures in colours; export each as a file of its own.")


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


def _levels(image: Any, axes: str) -> list[Any]:
    levels = []
    for level in getattr(image, "resolution_levels", (0,)):
        if hasattr(image, "set_resolution_level"):
            image.set_resolution_level(level)
        levels.append(image.get_image_dask_data(axes))
    if hasattr(image, "set_resolution_level"):
        image.set_resolution_level(0)
    return levels


def _channels(image: Any, count: int) -> tuple[str, ...]:
    names: Sequence[Any] = image.channel_names or ()
    texts = tuple(distinct([str(name) for name in names]))
    return () if len(texts) != count or all(map(MADE_UP.fullmatch, texts)) else texts
