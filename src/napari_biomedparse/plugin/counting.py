"""Rows of numbers about a result's objects, in the layer's units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from skimage.measure import regionprops_table

from napari_biomedparse.engine.follow import Findings, number_over
from napari_biomedparse.engine.kept import STEPS, KeptMask
from napari_biomedparse.engine.measure_stack import axes_across
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.units import UNITS, short_unit
from napari_biomedparse.ontology import find_object
from napari_biomedparse.plugin.summary import Measure
from napari_biomedparse.plugin.world import pixel_sizes

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_biomedparse.engine.stack import Stack


def spacing_of(image: Image, stack: Stack) -> tuple[dict[str, float], str | None]:
    """Return the size of a pixel along each axis in space of a result, and their unit; None for pixels."""
    steps = pixel_sizes(image)
    places = {letter: n for n, letter in enumerate(stack.selection.axes) if letter in "ZYX"}
    sizes = stack.spacing({letter: float(steps[n]) for letter, n in places.items()})
    units = {str(image.units[n]) for n in places.values()}
    if len(units) != 1 or units == {"pixel"}:
        return dict.fromkeys(sizes, 1.0), None
    unit = units.pop()
    known = UNITS.get(short_unit(unit))
    return sizes, known.symbol if known else unit


def measure_of(image: Image, stack: Stack) -> Measure:
    """Return what a pixel counts: its area, or in a stack of sections its volume."""
    return _measure(image, stack, stack.solid)


def _measure(image: Image, stack: Stack, solid: bool) -> Measure:
    sizes, unit = spacing_of(image, stack)
    if unit is None:
        return Measure(1.0, "voxels" if solid else "px")
    letters = stack.selection.plane + ("Z" if solid else "")
    return Measure(math.prod(sizes.get(letter, 1.0) for letter in letters), f"{unit}{'³' if solid else '²'}")


def table_of(image: Image, findings: Findings, paint: Paint, link: bool, alone: str | None = None) -> pd.DataFrame:
    """Return a row per object and frame: label, prompt, place, size, centre, box and mean probability.

    It is about all prompts together, or one of them ``alone``, as it has a layer of its own.

    The columns are those of :func:`~napari_biomedparse.engine.measure_stack.measure_stack` as far as they can be had
    while a slider is moved; the label is called ``index``, as napari wants it.
    """
    stack, selection = findings.stack, findings.stack.selection
    rows, columns = selection.rows.lower(), selection.columns.lower()
    frame_axis, section_axis = axes_across(selection.plane)
    parts = []
    corner = selection.part(stack.shape)
    names: dict[int, str] = {}
    for place, values, new, _ in number_over(findings, paint, link, alone):
        names |= new
        if not values.any():
            continue
        probability = _probability(findings.planes[place], values, new)
        table = pd.DataFrame(
            regionprops_table(values, probability, properties=("label", "area", "centroid", "bbox", "mean_intensity"))
        )
        at = dict(zip(selection.free, place, strict=True))
        table["frame"], table["section"] = at.get(frame_axis, 0), at.get(section_axis, 0)
        parts.append(table)
    solid = stack.has_volumes(paint.instances, link)
    size = "volume" if solid else "area"
    if not parts:
        return pd.DataFrame(columns=["index", "prompt", "object", f"{size}_px"])
    every = pd.concat(parts, ignore_index=True)
    for n, side in enumerate((corner[0].start, corner[1].start)):
        every[[f"centroid-{n}", f"bbox-{n}", f"bbox-{n + 2}"]] += side
    weighted = ("centroid-0", "centroid-1", "mean_intensity", "section")
    every = every.assign(**{f"sum {name}": every[name] * every["area"] for name in weighted})
    groups = every.groupby(["frame", *([] if solid else ["section"]), "label"], sort=True)
    area = groups["area"].sum()
    merged = pd.DataFrame({"index": area.index.get_level_values("label").astype(int)})
    merged["prompt"] = [names[value] for value in merged["index"]]
    merged["object"] = [found.id if (found := find_object(prompt)) else "" for prompt in merged["prompt"]]
    if frame_axis in selection.free:
        merged["frame"] = area.index.get_level_values("frame")
    if section_axis in selection.free and not solid:
        merged["plane"] = area.index.get_level_values("section")
    merged[f"{size}_px"] = area.to_numpy().astype(int)
    measure = _measure(image, stack, solid)
    if measure.unit not in ("px", "voxels"):
        merged[f"{size}_{short_unit(measure.unit[:-1])}{3 if solid else 2}"] = area.to_numpy() * measure.size
    merged[f"centroid_{rows}_px"] = (groups["sum centroid-0"].sum() / area).to_numpy().round(3)
    merged[f"centroid_{columns}_px"] = (groups["sum centroid-1"].sum() / area).to_numpy().round(3)
    if solid:
        merged["centroid_z_px"] = (groups["sum section"].sum() / area).to_numpy().round(3)
        merged["bbox_front_px"] = groups["section"].min().to_numpy()
        merged["bbox_back_px"] = groups["section"].max().to_numpy() + 1
    for n, (first, last) in enumerate((("top", "bottom"), ("left", "right"))):
        merged[f"bbox_{first}_px"] = groups[f"bbox-{n}"].min().to_numpy()
        merged[f"bbox_{last}_px"] = groups[f"bbox-{n + 2}"].max().to_numpy()
    merged["mean_probability"] = (groups["sum mean_intensity"].sum() / area).to_numpy().round(4)
    return merged


def _probability(
    masks: Sequence[KeptMask], values: NDArray[np.integer[Any]], names: Mapping[int, str]
) -> NDArray[np.float32]:
    """Return at each labelled pixel of a plane the probability of its label's own prompt."""
    numbers = {mask.prompt: n for n, mask in enumerate(masks)}
    asked = np.full(int(values.max()) + 1, -1)
    for value, prompt in names.items():
        # Names may be there of values that do not occur.
        if value < len(asked):
            asked[value] = numbers[prompt]
    own = asked[values]
    probability = np.zeros(values.shape, np.float32)
    for n, mask in enumerate(masks):
        part = mask.slices
        np.copyto(probability[part], mask.levels / np.float32(STEPS), where=own[part] == n)
    return probability
