"""Tables of objects, in pixels and in physical units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from skimage.measure import regionprops

from napari_biomedparse.engine.labels import LabelImage
from napari_biomedparse.engine.results import ObjectMask
from napari_biomedparse.engine.units import short_unit

Row = dict[str, str | int | float]


@dataclass(frozen=True)
class PixelSize:
    """Physical size of a pixel: height and width in ``unit`` (such as ``"um"``)."""

    y: float
    x: float
    unit: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "unit", short_unit(self.unit))


_PIXEL_COLUMNS = (
    *("label", "prompt", "object", "area_px", "centroid_y_px", "centroid_x_px"),
    *("bbox_top_px", "bbox_left_px", "bbox_bottom_px", "bbox_right_px", "mean_probability"),
)


def table_columns(pixel_size: PixelSize | None = None) -> list[str]:
    """Return the columns of :func:`measure_objects`'s rows."""
    if pixel_size is None:
        return list(_PIXEL_COLUMNS)
    unit = pixel_size.unit
    return [*_PIXEL_COLUMNS, f"area_{unit}2", f"centroid_y_{unit}", f"centroid_x_{unit}"]


def measure_objects(labels: LabelImage, masks: Sequence[ObjectMask], pixel_size: PixelSize | None = None) -> list[Row]:
    """Measure every label of a label image.

    Parameters
    ----------
    labels
        The label image.
    masks
        The masks it was composed from.
    pixel_size
        Adds area and centroid in physical units.

    Returns
    -------
    list of dict
        A row per label, ordered by value: ``label``, ``prompt``, ``object`` (identifier, empty for free text),
        ``area_px``, ``centroid_y_px``, ``centroid_x_px``, the bounding box ``bbox_top_px``, ``bbox_left_px``,
        ``bbox_bottom_px``, ``bbox_right_px`` (the latter two exclusive), ``mean_probability``; with a pixel size also
        ``area_UNIT2``, ``centroid_y_UNIT``, ``centroid_x_UNIT``.
    """
    by_prompt = {mask.prompt: mask for mask in masks}
    rows: list[Row] = []
    for region in regionprops(labels.values):
        mask = by_prompt[labels.names[region.label]]
        top, left, bottom, right = (int(side) for side in region.bbox)
        probability = mask.probability[top:bottom, left:right][region.image]
        y, x = region.centroid
        values: list[str | int | float] = [
            int(region.label),
            mask.prompt,
            mask.object.id if mask.object else "",
            int(region.area),
            round(float(y), 3),
            round(float(x), 3),
            *(top, left, bottom, right),
            round(float(probability.mean(dtype=np.float64)), 4),
        ]
        if pixel_size:
            area = float(region.area) * pixel_size.y * pixel_size.x
            sizes = (area, float(y) * pixel_size.y, float(x) * pixel_size.x)
            values += [float(f"{size:.7g}") for size in sizes]
        rows.append(dict(zip(table_columns(pixel_size), values, strict=True)))
    return rows
