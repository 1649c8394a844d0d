"""The figures of one mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.measure import Row
from napari_biomedparse.engine.results import ObjectMask
from napari_biomedparse.engine.shape import Shape, shape_of
from napari_biomedparse.evaluation.instances import ObjectCounts, count_objects
from napari_biomedparse.evaluation.overlap import box_iou, dice, iou
from napari_biomedparse.evaluation.presence import presence_score
from napari_biomedparse.evaluation.surface import assd
from napari_biomedparse.training.dataset import Example


@dataclass(frozen=True)
class TargetKey:
    """What a row of the tables is about: a target of a set, in one modality and site."""

    dataset: str
    modality: str
    site: str
    target: str


@dataclass(frozen=True)
class MaskScore:
    """One answer beside the truth, at threshold 0.5.

    Attributes
    ----------
    key
        The target.
    image
        Name of the image's file.
    prompt
        The words asked.
    dice, iou, box_iou
        Between 0 and 1.
    assd
        In pixels; None where just one of the masks is empty.
    presence
        How sure it is that the object is there, between 0 and 1.
    area_true, area_found, area_shared
        In pixels.
    shape
        Of the true mask; None where it is empty.
    objects
        Separate objects, where they are annotated.
    """

    key: TargetKey
    image: str
    prompt: str
    dice: float
    iou: float
    box_iou: float
    assd: float | None
    presence: float
    area_true: int
    area_found: int
    area_shared: int
    shape: Shape | None
    objects: ObjectCounts | None


def key_of(example: Example, target: str) -> TargetKey:
    """Return what an example's target is filed under."""
    return TargetKey(example.dataset, example.modality, example.site, target)


def score_mask(
    example: Example,
    target: str,
    answer: ObjectMask,
    truth: NDArray[np.bool_],
    objects: NDArray[np.integer] | None = None,
) -> MaskScore:
    """Compare an answer with the truth.

    Parameters
    ----------
    example, target
        What was asked for.
    answer
        The model's.
    truth
        bool (H, W).
    objects
        Its separate objects as a label image (H, W), if they are annotated.
    """
    found = answer.mask()
    return MaskScore(
        key=key_of(example, target),
        image=example.image.name,
        prompt=answer.prompt,
        dice=dice(found, truth),
        iou=iou(found, truth),
        box_iou=box_iou(found, truth),
        assd=assd(found, truth),
        presence=presence_score(answer),
        area_true=int(truth.sum()),
        area_found=int(found.sum()),
        area_shared=int((found & truth).sum()),
        shape=shape_of(truth),
        objects=None if objects is None else count_objects(answer.instances(), objects),
    )


IMAGE_COLUMNS = (
    *("dataset", "modality", "site", "target", "prompt", "image", "dice", "iou", "assd", "box_iou", "presence"),
    *("area_true", "area_found", *Shape._fields),
    *("objects_true", "objects_found", "ap_50", "ap_50_95", "f1_50"),
)


def image_rows(scores: Sequence[MaskScore]) -> list[Row]:
    """Return a row of :data:`IMAGE_COLUMNS` per mask; what is not defined is left empty."""
    return [_image_row(score) for score in scores]


def _image_row(score: MaskScore) -> Row:
    figures = (score.dice, score.iou, score.assd, score.box_iou, score.presence)
    counts = score.objects
    separate = (counts.truth, counts.found, counts.ap_50, counts.ap_mean, counts.f1_50) if counts else ("",) * 5
    key = score.key
    values = (
        *(key.dataset, key.modality, key.site, key.target, score.prompt, score.image),
        *map(rounded, figures),
        *(score.area_true, score.area_found),
        *(map(rounded, score.shape) if score.shape else ("",) * 3),
        *(rounded(value) if isinstance(value, float) else value for value in separate),
    )
    return dict(zip(IMAGE_COLUMNS, values, strict=True))


def rounded(value: float | np.floating | None) -> float | str:
    """Return a figure as it is written in a table: to four places, empty where it is not defined."""
    return "" if value is None or not np.isfinite(value) else round(float(value), 4)
