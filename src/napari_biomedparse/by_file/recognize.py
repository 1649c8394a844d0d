"""Recognise everything on an image file: labels and tables of what is there, and of what is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_biomedparse.by_file.outputs import Outputs
from napari_biomedparse.engine.hounsfield import advice, intensity_for, lowest
from napari_biomedparse.engine.measure import Row
from napari_biomedparse.engine.predictor import Predictor
from napari_biomedparse.engine.preprocess import Fit, Intensity
from napari_biomedparse.engine.recognition import Finding
from napari_biomedparse.io.coco import CocoDataset
from napari_biomedparse.io.read import PlaneIndex, read_picture
from napari_biomedparse.io.write import write_table

FINDING_COLUMNS = (
    *("prompt", "object", "outcome", "p_value", "confidence", "depends_on_words", "area_px"),
    *("bbox_top_px", "bbox_left_px", "bbox_bottom_px", "bbox_right_px", "meta_object", "meta_probability"),
)


@dataclass(frozen=True)
class RecognitionJob:
    """What to do with every file.

    Parameters
    ----------
    outputs
        Where results go.
    modality
        Whose objects are looked for; None to guess it for each image.
    limit
        p-value below which an object counts as absent.
    meta_objects
        Whether to say which of the 16 meta-objects each finding belongs to.
    plane
        Which plane of each file.
    diameter
        Of the cells, in pixels; measured if None.
    intensity
        How values become 0-255.
    fit
        How images fill the network's square.
    """

    outputs: Outputs
    modality: str | None
    limit: float
    meta_objects: bool
    plane: PlaneIndex
    diameter: float | None = None
    intensity: Intensity = "auto"
    fit: Fit = "pad"


def recognize_file(
    predictor: Predictor, image: Path, job: RecognitionJob, coco: CocoDataset | None = None
) -> dict[str, Any]:
    """Recognise everything on one file, write its results and add them to ``coco``.

    Returns
    -------
    dict
        ``image``, the written files (that of the findings as ``table``), ``shape``, ``modality``, ``guessed``,
        ``scores`` of the modalities tried if so, ``intensity`` (the window, if any), ``advice`` on that, and
        ``findings``: a row for each object that was looked for.

    Raises
    ------
    ReadError, ImageError, ModalityError, OSError
        If the file cannot be read, its modality not be guessed, or the results not be written.
    """
    picture = read_picture(image, job.plane)
    intensity = intensity_for(picture.pixels, job.intensity, job.modality)
    encoded = predictor.encode(picture.pixels, job.fit, intensity, (), job.diameter)
    recognition = predictor.recognize(encoded, job.modality, job.limit)
    labels = recognition.labels()
    masks = [finding.mask for finding in recognition.found]
    about = {"modality": recognition.modality, "p_value_limit": job.limit, "intensity": intensity}
    paths = job.outputs.write(picture, encoded.rgb, labels, masks, about, coco)
    classes: list[dict[str, float]] = [{} for _ in recognition.findings]
    if job.meta_objects:
        classes = predictor.classify(encoded, [finding.mask.prompt for finding in recognition.findings])
    rows = [_row(finding, meta) for finding, meta in zip(recognition.findings, classes, strict=True)]
    table = paths.pop("findings")
    write_table(table, rows, FINDING_COLUMNS)
    return {
        "image": str(image),
        **{name: str(path) for name, path in paths.items()},
        "table": str(table),
        "shape": list(labels.values.shape),
        "modality": recognition.modality,
        "guessed": recognition.guessed,
        "scores": {modality: round(score, 4) for modality, score in recognition.scores.items()},
        "intensity": intensity,
        "advice": advice(lowest(picture.pixels), intensity),
        "findings": rows,
    }


def _row(finding: Finding, meta: dict[str, float]) -> Row:
    """Return a finding as a row; empty where there is nothing to say."""
    mask = finding.mask
    box: Sequence[str | int] = next((box[:4] for box in finding.boxes()), ("",) * 4)
    name, probability = next(iter(meta.items()), ("", ""))
    values: list[str | int | float] = [
        mask.prompt,
        mask.object.id if mask.object else "",
        finding.outcome,
        "unknown" if finding.p_value is None else float(f"{finding.p_value:.4g}"),
        round(mask.confidence, 4),
        mask.depends_on_words,
        int(finding.pixels.sum()),
        *box,
        name,
        probability if isinstance(probability, str) else round(probability, 4),
    ]
    return dict(zip(FINDING_COLUMNS, values, strict=True))
