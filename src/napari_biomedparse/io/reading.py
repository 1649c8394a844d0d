"""What readers of image files share: the opened image and the error."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.errors import BiomedParseError

# The order that an opened image's axes have.
AXES = "TCZYX"


class ReadError(BiomedParseError):
    """A file that cannot be read; the message says why and what to do."""


@dataclass(frozen=True)
class OpenedImage:
    """A whole image of a file whose pixels are read only when they are computed.

    Attributes
    ----------
    path
        The file, or the folder.
    scene
        Which of the file's images, or None where it has just one.
    levels
        Lazy arrays (dask), the finest first; more than one for a pyramid.
    axes
        A letter of T, C, Z, Y, X, in this order, for each axis of the arrays but that of colours. Axes of length 1
        other than Y and X are left out.
    rgb
        Whether a last axis holds 3 or 4 colours.
    spacing
        Distance between pixels of the finest level along Z, Y and X in ``unit``, and along T in seconds, as far as the
        file says.
    unit
        Short name such as ``"um"``, or None where the file gives no size.
    channels
        Their names in order, or empty where the file gives none.
    """

    path: Path
    scene: str | None
    levels: tuple[Any, ...]
    axes: str
    rgb: bool = False
    spacing: Mapping[str, float] = field(default_factory=dict)
    unit: str | None = None
    channels: tuple[str, ...] = ()


def need(module: str, use: str, extra: str = "data") -> Any:
    """Return a module of an extra of this package.

    Raises
    ------
    ReadError
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        name = module.partition(".")[0]
        raise ReadError(f"{use} needs {name}: run pip install 'napari-biomedparse[{extra}]'.") from None


def lazy_array(
    read: Callable[[tuple[int, ...]], NDArray[Any]], chunks: Sequence[tuple[int, ...]], dtype: np.dtype[Any]
) -> Any:
    """Return a lazy array (dask) whose chunks are read one by one.

    Parameters
    ----------
    read
        From the number of a chunk along each axis to its pixels.
    chunks
        Lengths of the chunks along each axis.
    dtype
        Of the pixels.

    Raises
    ------
    ReadError
        If dask is missing.
    """
    array = need("dask.array", "Reading whole images", "io")
    empty = np.empty((0,) * len(chunks), dtype)
    return array.map_blocks(_chunk, read, chunks=tuple(chunks), dtype=dtype, meta=empty, name=f"read-{uuid4().hex}")


def _chunk(read: Callable[[tuple[int, ...]], NDArray[Any]], block_id: tuple[int, ...]) -> NDArray[Any]:
    return read(block_id)


def choose_scene(path: Path, names: list[str], scene: str | None) -> int:
    """Return the index of a scene, the first where none is asked for.

    Raises
    ------
    ReadError
        If there is no scene of this name.
    """
    if scene is None:
        return 0
    if not names:
        raise ReadError(f"{path} has no scene {scene!r}: it holds just one image, so leave the scene out.")
    if scene not in names:
        raise ReadError(f"{path} has no scene {scene!r}; choose one of {', '.join(map(repr, names))}.")
    return names.index(scene)


def distinct(names: list[str]) -> list[str]:
    """Return names with numbers added, from the second on, to those that occur more than once."""
    found: list[str] = []
    for name in names:
        number, one = 2, name
        while one in found:
            number, one = number + 1, f"{name} ({number})"
        found.append(one)
    return found


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or its type."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
