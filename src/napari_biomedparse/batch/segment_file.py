"""Segment an image file into a label file, the names of its values and a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_biomedparse.batch.overlay import draw_overlay
from napari_biomedparse.engine.labels import LabelImage, compose_labels
from napari_biomedparse.engine.measure import measure_objects, table_columns
from napari_biomedparse.engine.predictor import Predictor, Step
from napari_biomedparse.engine.results import ObjectMask
from napari_biomedparse.io.coco import CocoDataset
from napari_biomedparse.io.read import read_picture
from napari_biomedparse.io.write import write_json, write_labels, write_picture, write_table
from napari_biomedparse.ontology import find_object


@dataclass(frozen=True)
class Job:
    """What to do with every file: prompts, where results go, and how labels are made."""

    prompts: list[str]
    output: Path
    threshold: float = 0.5
    instances: bool = False
    overlay: bool = False
    t: int | None = None
    c: int | None = None
    z: int | None = None
    coco: bool = False

    @property
    def coco_path(self) -> Path:
        """The file with the objects of all images, written if ``coco`` is set."""
        return self.output / "coco.json"

    def outputs(self, image: Path) -> dict[str, Path]:
        """Return the files written for an image: ``labels``, ``names``, ``objects`` and, if asked for, ``overlay``."""
        name = image.name
        for ending in (".ome.tiff", ".ome.tif", image.suffix):
            if ending and name.lower().endswith(ending.lower()):
                name = name[: -len(ending)]
                break
        paths = {
            "labels": self.output / f"{name}_labels.ome.tif",
            "names": self.output / f"{name}_labels.json",
            "objects": self.output / f"{name}_objects.csv",
        }
        return {**paths, "overlay": self.output / f"{name}_overlay.png"} if self.overlay else paths


def check_outputs(images: Sequence[Path], job: Job, overwrite: bool) -> None:
    """Refuse to write over results or to write two images' results to one file.

    Raises
    ------
    ValueError
        If that would happen.
    """
    targets: dict[Path, Path] = {}
    _check_free([job.coco_path] if job.coco else [], overwrite)
    for image in images:
        paths = job.outputs(image).values()
        for path in paths:
            if path in targets:
                raise ValueError(f"{targets[path]} and {image} would both be written to {path}; use two folders.")
            targets[path] = image
        _check_free(paths, overwrite)


def _check_free(paths: Iterable[Path], overwrite: bool) -> None:
    for path in paths:
        if path.exists() and not overwrite:
            raise ValueError(f"{path} is there already; add --overwrite to replace it, or choose another folder.")


def coco_dataset(prompts: Sequence[str], model: str) -> CocoDataset:
    """Return an empty COCO data set for what is looked for, each in its group of the ontology."""
    objects = {prompt: find_object(prompt) for prompt in prompts}
    return CocoDataset(model, {prompt: entry.group if entry else "" for prompt, entry in objects.items()})


def segment_file(
    predictor: Predictor,
    image: Path,
    job: Job,
    report: Callable[[Step], None] = lambda _: None,
    coco: CocoDataset | None = None,
) -> dict[str, Any]:
    """Segment one file, write its results and add them to ``coco``.

    Returns
    -------
    dict
        ``image``, the written files, ``shape``, ``overlap_px`` and ``prompts``: for each its confidence, number of
        objects and area.

    Raises
    ------
    ReadError, ImageError, OSError
        If the file cannot be read or the results cannot be written.
    """
    picture = read_picture(image, job.t, job.c, job.z)
    encoded = predictor.encode(picture.pixels, scales=())
    steps = predictor.steps(encoded, job.prompts)
    while True:
        try:
            report(next(steps))
        except StopIteration as end:
            masks: list[ObjectMask] = end.value
            break
    labels = compose_labels(masks, job.threshold, job.instances)
    rows = measure_objects(labels, masks, picture.pixel_size)
    outputs = job.outputs(image)
    write_labels(outputs["labels"], labels, picture.pixel_size)
    write_json(outputs["names"], {"image": str(image), "threshold": job.threshold, "names": labels.names})
    write_table(outputs["objects"], rows, table_columns(picture.pixel_size))
    if job.overlay:
        write_picture(outputs["overlay"], draw_overlay(encoded.rgb, labels))
    if coco is not None:
        coco.add(image, labels, rows)
    return {
        "image": str(image),
        **{name: str(path) for name, path in outputs.items()},
        "shape": list(labels.values.shape),
        "overlap_px": labels.overlap,
        "prompts": [_summary(mask, labels) for mask in masks],
    }


def _summary(mask: ObjectMask, labels: LabelImage) -> dict[str, Any]:
    values = [value for value, prompt in labels.names.items() if prompt == mask.prompt]
    counts = np.bincount(labels.values.ravel(), minlength=max(values, default=0) + 1)[values]
    return {
        "prompt": mask.prompt,
        "object": mask.object.id if mask.object else None,
        "confidence": round(mask.confidence, 4),
        "objects": int((counts > 0).sum()),
        "area_px": int(counts.sum()),
    }
