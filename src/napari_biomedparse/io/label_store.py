"""Labels as OME-Zarr, written block by block by many processes."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_biomedparse.files.replacing import replacing
from napari_biomedparse.io.durable import put, settle, sweep
from napari_biomedparse.io.ome_metadata import level_sizes, need_zarr, ome_attributes
from napari_biomedparse.io.result import RGBA, ExportError, in_bytes

if TYPE_CHECKING:
    import zarr

# The attribute of a group that holds what OME-Zarr has no place for; a group that has it is one of ours.
ATTRIBUTE = "napari-biomedparse"
# Of more labels, names and colours are not in the metadata, which readers take in whole.
MOST_NAMED = 10_000


@dataclass(frozen=True)
class StoreBlock:
    """One shard of one level, a file of its own; whoever writes it shares it with nobody.

    Attributes
    ----------
    level
        0 is the finest.
    place
        Index along the axes before Y and X.
    rows, columns
        Of the level's plane; they end where it ends.
    """

    level: int
    place: tuple[int, ...]
    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


class LabelStore:
    """A pyramid of labels on the disk; every second row and column of a level make the next.

    Each process opens the store by itself. Blocks may be written in any order and at once; those of a level other than
    the finest are made by :meth:`coarsen` when the level before is written where they lie. :meth:`finish` comes last.

    Attributes
    ----------
    path
        The folder.
    axes
        Those of T, Z, Y, X that the labels have, in this order.
    levels
        The finest first, each with these axes; to be read from.
    """

    def __init__(self, path: Path, axes: str, levels: list[zarr.Array[Any]]) -> None:
        self.path, self.axes, self.levels = path, axes, levels

    @classmethod
    def create(
        cls, path: Path, axes: str, shape: tuple[int, ...], dtype: DTypeLike, shard: int = 4096, chunk: int = 512
    ) -> LabelStore:
        """Make a store in which all is background. It appears at ``path`` whole or not at all.

        Parameters
        ----------
        path
            The folder, by custom with the ending ``.ome.zarr``; nothing may be there.
        axes
            Some of T, Z, Y, X in this order, Y and X among them.
        shape
            Of the finest level, a length for each axis.
        dtype
            Of the labels, integers.
        shard
            Side in pixels of what is written at once, a file.
        chunk
            Side in pixels of what is read at once; it divides ``shard``. Smaller planes are one chunk.

        Raises
        ------
        ExportError
            If something is there already, axes, lengths, sides or type make no sense, the folder cannot be made, or
            zarr is missing or older than 3.
        """
        zarr, dtype = need_zarr(), np.dtype(dtype)
        _check(path, axes, shape, dtype, shard, chunk)
        try:
            with replacing(path) as partial:
                group = zarr.open_group(str(partial), mode="w", zarr_format=3, attributes={ATTRIBUTE: {}})
                before = (1,) * (len(axes) - 2)
                for number, sides in enumerate(level_sizes(*shape[-2:])):
                    chunks = [min(chunk, side) for side in sides]
                    shards = [min(shard, -(-side // part) * part) for side, part in zip(sides, chunks, strict=True)]
                    group.create_array(
                        str(number),
                        shape=(*shape[:-2], *sides),
                        dtype=dtype,
                        chunks=(*before, *chunks),
                        shards=(*before, *shards),
                        compressors=zarr.codecs.ZstdCodec(),
                        fill_value=0,
                        dimension_names=[letter.lower() for letter in axes],
                    )
                for folder, _, files in os.walk(partial):
                    settle(Path(folder) / name for name in (*files, "."))
            settle([path.parent])
        except OSError as error:
            raise ExportError(f"{path} cannot be made: {error.strerror or error}.") from error
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> LabelStore:
        """Open a store that :meth:`create` made, finished or not.

        Raises
        ------
        ExportError
            If there is none, or zarr is missing or older than 3.
        """
        zarr = need_zarr()
        if ATTRIBUTE not in _attributes(path):
            raise ExportError(f"{path} is no store of labels that was begun here; choose another.")
        group = zarr.open_group(str(path), mode="r")
        levels = [group[name] for name in sorted(group.array_keys(), key=int)]
        return cls(path, "".join(levels[0].metadata.dimension_names).upper(), levels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the finest level."""
        return tuple(self.levels[0].shape)

    @property
    def finished(self) -> bool:
        """Whether :meth:`finish` was called, by whatever process."""
        return is_finished(self.path)

    def blocks(self, level: int) -> list[StoreBlock]:
        """Return the blocks of a level: together they cover it, no two overlap."""
        array = self.levels[level]
        *before, height, width = array.shape
        tall, wide = _sides(array)
        rows = [slice(start, min(start + tall, height)) for start in range(0, height, tall)]
        columns = [slice(start, min(start + wide, width)) for start in range(0, width, wide)]
        places = itertools.product(*map(range, before))
        return [StoreBlock(level, *where) for where in itertools.product(places, rows, columns)]

    def write(self, block: StoreBlock, values: NDArray[np.integer[Any]]) -> None:
        """Write a block; on return it is on the disk, and a machine that stops does not lose it.

        What was there before is replaced in one step without being read, so that a block of which only a part was
        written, when a process or machine stopped, is simply written once more.

        Parameters
        ----------
        block
            One of :meth:`blocks`.
        values
            (height, width) labels.

        Raises
        ------
        ExportError
            If the values have another shape than the block, or do not fit the type of the store.
        OSError
            If they cannot be written, as when the disk is full.
        """
        array = self.levels[block.level]
        if values.shape != block.shape:
            raise ExportError(f"A block of {block.shape} pixels takes no labels of shape {values.shape}.")
        name, content = _encoded(array, block, _fitting(values, array.dtype))
        file = self.path / str(block.level) / name
        if content is not None:
            put(file, content, self.path)
        elif file.exists():
            file.unlink()
            settle([file.parent])

    def coarsen(self, block: StoreBlock) -> None:
        """Write a block of a level other than the finest: every second row and column of the level before.

        Raises
        ------
        ValueError
            If it is of the finest level.
        OSError
            If it cannot be written, as when the disk is full.
        """
        if block.level == 0:
            raise ValueError("The finest level is made from none.")
        finer = self.levels[block.level - 1]
        height, width = finer.shape[-2:]
        rows = slice(2 * block.rows.start, min(2 * block.rows.stop, height), 2)
        columns = slice(2 * block.columns.start, min(2 * block.columns.stop, width), 2)
        where: tuple[int | slice, ...] = (*block.place, rows, columns)
        self.write(block, np.asarray(finer[where]))

    def finish(
        self,
        names: Mapping[int, str],
        colours: Mapping[int, RGBA],
        spacing: Mapping[str, float],
        unit: str | None,
        title: str,
        prompts: Mapping[str, RGBA],
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """Say what the labels are, in one step; only then readers take the folder for labels.

        Parameters
        ----------
        names, colours
            Label -> prompt, label -> colour. Of more than :data:`MOST_NAMED` labels none is written.
        spacing
            Sizes of a pixel of the finest level along Z, Y, X in ``unit`` and of a frame along T in seconds, as far
            as known.
        unit
            Unit of length, in any usual way of writing it, if it is known.
        title
            Name of the labels.
        prompts
            Prompt -> colour.
        about
            What else is to be kept with them, as JSON has it.

        Raises
        ------
        ExportError
            If ``about`` cannot be written as JSON; the store stays unfinished.
        OSError
            If it cannot be written, as when the disk is full.
        """
        if len(names) > MOST_NAMED:
            names, colours = {}, {}
        ours = {**(about or {}), "prompts": {prompt: in_bytes(colour) for prompt, colour in prompts.items()}}
        ome = ome_attributes(self.axes, len(self.levels), names, colours, spacing, unit, title)
        file = self.path / "zarr.json"
        metadata = json.loads(file.read_bytes())
        metadata["attributes"] |= {ATTRIBUTE: ours, "ome": ome}
        try:
            content = json.dumps(metadata, indent=2, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise ExportError(f"What is to be kept with the labels is not JSON: {error}.") from error
        sweep(self.path)
        put(file, content, self.path)


def is_finished(path: Path) -> bool:
    """Whether a folder holds labels that :meth:`LabelStore.finish` was called for; nothing else of it is read."""
    attributes = _attributes(path)
    return ATTRIBUTE in attributes and "ome" in attributes


def about_labels(path: Path) -> dict[str, Any]:
    """Return what :meth:`LabelStore.finish` was told of the labels in a folder; nothing if it was not called."""
    about: dict[str, Any] = _attributes(path).get(ATTRIBUTE, {})
    return about


def is_store(path: Path) -> bool:
    """Whether a folder holds labels that :meth:`LabelStore.create` made, finished or not."""
    return ATTRIBUTE in _attributes(path)


def _check(path: Path, axes: str, shape: tuple[int, ...], dtype: np.dtype[Any], shard: int, chunk: int) -> None:
    if path.exists():
        raise ExportError(f"{path} is there already; choose another name, or remove it first.")
    if not path.parent.is_dir():
        raise ExportError(f"There is no folder {path.parent}; make it first, or choose another.")
    if not re.fullmatch("T?Z?YX", axes):
        raise ExportError(f"Labels are stored with axes of T, Z, Y, X in this order, Y and X among them, not {axes}.")
    if len(shape) != len(axes) or min(shape) < 1:
        raise ExportError(f"Labels with the axes {axes} need a length of 1 or more for each, not {shape}.")
    if dtype.kind not in "iu":
        raise ExportError(f"Labels must be integers to be written, not {dtype}.")
    if chunk < 1 or shard < chunk or shard % chunk:
        raise ExportError(f"A shard of {shard} pixels is not made of whole chunks of {chunk}.")


def _attributes(path: Path) -> dict[str, Any]:
    try:
        attributes: dict[str, Any] = json.loads((path / "zarr.json").read_bytes())["attributes"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return attributes


def _sides(array: zarr.Array[Any]) -> tuple[int, int]:
    """Return height and width of a shard."""
    *_, tall, wide = array.shards or array.chunks
    return tall, wide


def _fitting(values: NDArray[np.integer[Any]], dtype: np.dtype[Any]) -> NDArray[np.integer[Any]]:
    if values.dtype == dtype:
        return values
    least, greatest, limits = int(values.min()), int(values.max()), np.iinfo(dtype)
    if values.dtype.kind not in "iu" or least < limits.min or greatest > limits.max:
        raise ExportError(f"Labels from {least} to {greatest} of type {values.dtype} do not fit a store of {dtype}.")
    return values.astype(dtype)


def _encoded(array: zarr.Array[Any], block: StoreBlock, values: NDArray[np.integer[Any]]) -> tuple[str, bytes | None]:
    """Return the file's name within the level and its content, None where all is background.

    zarr reads a shard before it writes to it, and a damaged one fails. So it writes to an empty place in memory.
    """
    zarr = need_zarr()
    memory: dict[str, Any] = {}
    copy = zarr.from_array(zarr.storage.MemoryStore(memory), data=array, write_data=False)
    copy[(*block.place, block.rows, block.columns)] = values
    tall, wide = _sides(array)
    shard = (*block.place, block.rows.start // tall, block.columns.start // wide)
    name = array.metadata.encode_chunk_key(shard)
    return name, memory[name].to_bytes() if name in memory else None
