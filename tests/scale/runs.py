"""Images in files, questions about them, and what a run over them leaves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import tifffile

from napari_biomedparse import Predictor, Recipe, follow
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.io.label_store import LabelStore
from napari_biomedparse.scale.grid import BLOCK_BYTES, bytes_per_pixel
from napari_biomedparse.scale.inputs import jobs_of
from napari_biomedparse.scale.job import Job
from napari_biomedparse.scale.study import Here, run

MICROMETRES = {"PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "µm"}


def bytes_of(side: int, prompts: int = 1) -> int:
    """Memory that makes blocks of this side."""
    return side * side * bytes_per_pixel(prompts)


def recipe_of(axes: str = "YX", prompts: tuple[str, ...] = ("nuclei",), **more: Any) -> Recipe:
    """A question about separate objects on all planes."""
    more.setdefault("modality", "Fluorescence Microscopy-Cell")
    more.setdefault("paint", Paint(instances=True))
    return Recipe(more.pop("selection", Selection(axes)), prompts, **more)


def write_tiff(path: Path, pixels: np.ndarray, axes: str = "YX", **metadata: Any) -> Path:
    """An OME-TIFF."""
    colours = {"photometric": "rgb"} if axes.endswith("S") else {}
    tifffile.imwrite(path, pixels, ome=True, metadata={"axes": axes, **metadata}, **colours)
    return path


def job_of(path: Path, recipe: Recipe, folder: Path, block_bytes: int = BLOCK_BYTES, **more: Any) -> Job:
    """The only job of a file; what the recipe selects."""
    more.setdefault("selection", recipe.selection)
    (job,), failed = jobs_of([path], recipe, folder, "cpu", block_bytes=block_bytes, **more)
    assert not failed
    return job


@dataclass
class Result:
    """What a finished run left."""

    job: Job
    store: LabelStore
    labels: np.ndarray
    table: dict[str, list[Any]]
    objects: dict[str, int]


def result_of(job: Job, objects: dict[str, int] | None = None) -> Result:
    """Read what is on the disk."""
    store = LabelStore.open(job.store)
    assert store.finished
    table = pyarrow.parquet.read_table(job.table).to_pydict()
    return Result(job, store, np.asarray(store.levels[0][...]), table, objects or {})


def done(job: Job) -> Result:
    """Do a job here and read what it left."""
    (outcome,) = run([job], Here())
    assert outcome.error is None, outcome.error
    assert outcome.finished is not None
    return result_of(job, outcome.finished.objects)


def followed(job: Job, pixels: np.ndarray, predictor: Predictor) -> np.ndarray:
    """What the engine itself makes of the job's question."""
    return follow(job.recipe, pixels, predictor)
