"""Segment an image file into a label file, the names of its values and a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_biomedparse.by_file.outputs import Outputs
from napari_biomedparse.engine.ask import Step
from napari_biomedparse.engine.hounsfield import advice, intensity_for, lowest
from napari_biomedparse.engine.labels import LabelImage, compose_labels
from napari_biomedparse.engine.predictor import Predictor
from napari_biomedparse.engine.preprocess import Fit, Intensity
from napari_biomedparse.engine.results import ObjectMask
from napari_biomedparse.io.coco import CocoDataset
from napari_biomedparse.io.read import PlaneIndex, read_picture
from napari_biomedparse.ontology import suggest


@dataclass(frozen=True)
class SegmentationJob:
    """What to do with every file: prompts, where results go, how labels are made; what of it is read, and how."""

    prompts: list[str]
    outputs: Outputs
    threshold: float
    instances: bool
    plane: PlaneIndex
    modality: str | None = None
    diameter: float | None = None
    intensity: Intensity = "auto"
    fit: Fit = "pad"


def segment_file(
    predictor: Predictor,
    image: Path,
    job: SegmentationJob,
    report: Callable[[Step], None] = lambda _: None,
    coco: CocoDataset | None = None,
) -> dict[str, Any]:
    """Segment one file, write its results and add them to ``coco``.

    Returns
    -------
    dict
        ``image``, the written files, ``shape``, ``overlap_px``, ``intensity`` (the window, if any), ``advice`` on that,
        and ``prompts``: for each its confidence,
        whether its mask depends on the words, number of objects and area, and for words that name no known object
        the nearest names.

    Raises
    ------
    ReadError, ImageError, OSError
        If the file cannot be read or the results cannot be written.
    """
    picture = read_picture(image, job.plane)
    kind = predictor.table.meant(job.modality) if job.modality else None
    intensity = intensity_for(picture.pixels, job.intensity, kind)
    encoded = predictor.encode(picture.pixels, job.fit, intensity, (), job.diameter)
    steps = predictor.steps(encoded, job.prompts, modality=job.modality)
    while True:
        try:
            report(next(steps))
        except StopIteration as end:
            masks: list[ObjectMask] = end.value
            break
    labels = compose_labels(masks, job.threshold, job.instances)
    about = {"threshold": job.threshold, "intensity": intensity}
    paths = job.outputs.write(picture, encoded.rgb, labels, masks, about, coco)
    return {
        "image": str(image),
        **{name: str(path) for name, path in paths.items()},
        "shape": list(labels.values.shape),
        "overlap_px": labels.overlap,
        "intensity": intensity,
        "advice": advice(lowest(picture.pixels), intensity),
        "prompts": [_summary(mask, labels) for mask in masks],
    }


def _summary(mask: ObjectMask, labels: LabelImage) -> dict[str, Any]:
    values = [value for value, prompt in labels.names.items() if prompt == mask.prompt]
    counts = np.bincount(labels.values.ravel(), minlength=max(values, default=0) + 1)[values]
    return {
        "prompt": mask.prompt,
        "object": mask.object.id if mask.object else None,
        "suggestions": [] if mask.object else list(suggest(mask.prompt)),
        "confidence": round(mask.confidence, 4),
        "depends_on_words": mask.depends_on_words,
        "objects": int((counts > 0).sum()),
        "area_px": int(counts.sum()),
    }
