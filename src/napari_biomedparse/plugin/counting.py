"""Rows of numbers about a result's objects, in the layer's units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from skimage.measure import regionprops_table

from napari_biomedparse.engine.follow import Findings, number_over
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
    axes = stack.selection.axes
    finest = stack.levels[0].shape
    steps = pixel_sizes(image)
    sizes, units = {}, set()
    for n, letter in enumerate(axes):
        if letter in "ZYX":
            sizes[letter] = float(steps[n]) * finest[n] / stack.shape[n]
            units.add(str(image.units[n]))
    if len(units) != 1 or units == {"pixel"}:
        return dict.fromkeys(sizes, 1.0), None
    unit = units.pop()
    known = UNITS.get(short_unit(unit))
    return sizes, known.symbol if known else unit


def solid(stack: Stack) -> bool:
    """Whether a result's planes are the sections of volumes."""
    selection = stack.selection
    return "Z" in selection.free and len({place[selection.free.index("Z")] for place in stack.places()}) > 1


def measure_of(image: Image, stack: Stack) -> Measure:
    """Return what a pixel counts: its area, or in a stack of sections its volume."""
    sizes, unit = spacing_of(image, stack)
    selection = stack.selection
    letters = [selection.rows, selection.columns, *("Z" if solid(stack) else "")]
    if unit is None:
        return Measure(1.0, "voxels" if solid(stack) else "px")
    return Measure(
        float(np.prod([sizes.get(letter, 1.0) for letter in letters])), f"{unit}{'³' if solid(stack) else '²'}"
    )


def table_of(image: Image, findings: Findings, paint: Paint, link: bool, alone: str | None = None) -> pd.DataFrame:
    """Return a row per object and frame: label, prompt, place, size, centre, box and mean probability.

    It is about all prompts together, or one of them ``alone``, as it has a layer of its own.

    The columns are those of :func:`~napari_biomedparse.engine.measure_stack.measure_stack` as far as they can be had
    while a slider is moved; the label is called ``index``, as napari wants it.
    """
    selection = findings.stack.selection
    rows, columns = selection.rows.lower(), selection.columns.lower()
    parts = []
    corner = selection.part(findings.stack.shape)
    names: dict[int, str] = {}
    for place, values, new, _ in number_over(findings, paint, link, alone):
        names |= new
        if not values.any():
            continue
        probability = _probability(findings, place)
        table = pd.DataFrame(
            regionprops_table(values, probability, properties=("label", "area", "centroid", "bbox", "mean_intensity"))
        )
        at = dict(zip(selection.free, place, strict=True))
        table["frame"], table["section"] = at.get("T", 0), at.get("Z", 0)
        parts.append(table)
    size = "volume" if solid(findings.stack) else "area"
    if not parts:
        return pd.DataFrame(columns=["index", "prompt", "object", f"{size}_px"])
    every = pd.concat(parts, ignore_index=True)
    for n, side in enumerate((corner[0].start, corner[1].start)):
        every[[f"centroid-{n}", f"bbox-{n}", f"bbox-{n + 2}"]] += side
    weighted = {name: every[name] * every["area"] for name in ("centroid-0", "centroid-1", "mean_intensity", "section")}
    every = every.assign(**{f"sum {name}": column for name, column in weighted.items()})
    groups = every.groupby(["frame", "label"], sort=True)
    area = groups["area"].sum()
    merged = pd.DataFrame({"index": area.index.get_level_values("label").astype(int)})
    merged["prompt"] = [names[value] for value in merged["index"]]
    merged["object"] = [found.id if (found := find_object(prompt)) else "" for prompt in merged["prompt"]]
    if "T" in selection.free:
        merged["frame"] = area.index.get_level_values("frame")
    merged[f"{size}_px"] = area.to_numpy().astype(int)
    measure = measure_of(image, findings.stack)
    if measure.unit not in ("px", "voxels"):
        merged[f"{size}_{short_unit(measure.unit[:-1])}{3 if size == 'volume' else 2}"] = area.to_numpy() * measure.size
    merged[f"centroid_{rows}_px"] = (groups["sum centroid-0"].sum() / area).to_numpy().round(3)
    merged[f"centroid_{columns}_px"] = (groups["sum centroid-1"].sum() / area).to_numpy().round(3)
    if size == "volume":
        merged["centroid_z_px"] = (groups["sum section"].sum() / area).to_numpy().round(3)
        merged["bbox_front_px"] = groups["section"].min().to_numpy()
        merged["bbox_back_px"] = groups["section"].max().to_numpy() + 1
    for n, (first, last) in enumerate((("top", "bottom"), ("left", "right"))):
        merged[f"bbox_{first}_px"] = groups[f"bbox-{n}"].min().to_numpy()
        merged[f"bbox_{last}_px"] = groups[f"bbox-{n + 2}"].max().to_numpy()
    merged["mean_probability"] = (groups["sum mean_intensity"].sum() / area).to_numpy().round(4)
    return merged


def _probability(findings: Findings, place: Any) -> Any:
    """Return the greatest probability of any prompt at each pixel, where labels lie that of the one that has it."""
    masks = findings.planes[place]
    highest = np.zeros(masks[0].shape, np.float32)
    for mask in masks:
        part = mask.slices
        highest[part] = np.maximum(highest[part], mask.levels / np.float32(200))
    return highest
