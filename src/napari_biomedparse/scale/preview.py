"""Preliminary labels of an image that is worked on, small enough to be looked at while they grow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.kept import KeptMask
from napari_biomedparse.engine.paint import paint_plane
from napari_biomedparse.engine.selection import Place
from napari_biomedparse.io.reading import lazy_array
from napari_biomedparse.scale.grid import Block
from napari_biomedparse.scale.job import Job, key_of

# Pixels of a plane's preview; larger planes are sampled regularly.
SHOWN = 1 << 22


class Preview(NamedTuple):
    """What there is so far.

    Attributes
    ----------
    labels
        Lazy array (dask); n is the n-th prompt, 0 what is background or not known yet. Each time it is computed, it
        shows what was found until then.
    axes
        Of the labels, a letter each.
    step
        Rows and columns of the image for one of the labels; a label is that of the first of them.
    """

    labels: Any
    axes: str
    step: int


def keep_preview(job: Job, place: Place, block: Block, masks: Sequence[KeptMask]) -> None:
    """Keep preliminary labels of a block: nothing is parted, linked or left out as improbable yet."""
    paint = replace(job.recipe.paint, instances=False)
    values = paint_plane(masks, paint, dict.fromkeys(job.prompts, "found")).values
    step = _step(job)
    sample = values[-block.rows.start % step :: step, -block.columns.start % step :: step]
    job.scratch.put("preview", key_of(place, block), {"values": sample.astype(_dtype(job))})


def preview_of(job: Job) -> Preview:
    """Return the preview of a job that was prepared and asked for one."""
    free, step = job.recipe.selection.free, _step(job)
    lengths = [job.stack.shape[job.recipe.selection.axes.index(letter)] for letter in free]
    height, width = (-(-side // step) for side in job.grid.shape)

    def read(number: tuple[int, ...]) -> NDArray[Any]:
        place = number[:-2]
        plane = np.zeros((height, width), _dtype(job))
        for block in job.grid.blocks:
            found = job.scratch.find("preview", key_of(place, block))
            if found is not None:
                top, left = -(-block.rows.start // step), -(-block.columns.start // step)
                values = found["values"]
                plane[top : top + values.shape[0], left : left + values.shape[1]] = values
        return plane[(None,) * len(place)]

    chunks = [(1,) * length for length in lengths] + [(height,), (width,)]
    return Preview(lazy_array(read, chunks, np.dtype(_dtype(job))), f"{free}YX", step)


def _step(job: Job) -> int:
    height, width = job.grid.shape
    return max(1, math.ceil(math.sqrt(height * width / SHOWN)))


def _dtype(job: Job) -> type[np.uint8 | np.uint16]:
    return np.uint8 if len(job.prompts) < 256 else np.uint16
