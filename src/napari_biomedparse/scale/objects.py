"""Measure objects that are too many, or too large, to be held: from sums over the blocks they lie in."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_biomedparse.engine.kept import STEPS
from napari_biomedparse.engine.units import short_unit
from napari_biomedparse.io.reading import need
from napari_biomedparse.ontology import find_object

Arrays = dict[str, NDArray[Any]]
# How the sums of an object's parts become those of the object; whatever is not here is added up.
_LEAST, _GREATEST = ("top", "left", "front"), ("bottom", "right", "back")


def sums_of(
    labels: NDArray[np.integer[Any]],
    levels: NDArray[np.uint8],
    pixels: Sequence[NDArray[np.generic]],
    corner: tuple[int, int],
) -> Arrays:
    """Sum up what is needed to measure the objects of a block, of each the part that lies in it.

    Parameters
    ----------
    labels
        (h, w), 0 is background.
    levels
        uint8 (h, w): probability of each label's prompt, times 200.
    pixels
        The image's channels, (h, w) each, or one with colours, (h, w, 3 or 4).
    corner
        Row and column of the block's first pixel on the plane.
    """
    present, compact = np.unique(labels, return_inverse=True)
    compact = compact.reshape(labels.shape)
    if len(present) and present[0] == 0:
        present = present[1:]
    else:
        compact += 1
    index = np.arange(1, len(present) + 1)
    inside = compact > 0
    where = compact[inside]
    rows, columns = (axis.astype(np.float64) for axis in np.nonzero(inside))
    rows, columns = rows + corner[0], columns + corner[1]

    def total(values: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.bincount(where, values, len(present) + 1)[1:].astype(np.float64)

    boxes = ndi.find_objects(compact, max_label=len(present)) if len(present) else []
    sums: Arrays = {
        "label": present.astype(np.int64),
        "area": np.bincount(where, minlength=len(present) + 1)[1:],
        "y": total(rows),
        "x": total(columns),
        "yy": total(rows**2),
        "xx": total(columns**2),
        "yx": total(rows * columns),
        "top": np.array([box[0].start + corner[0] for box in boxes], np.int64),
        "left": np.array([box[1].start + corner[1] for box in boxes], np.int64),
        "bottom": np.array([box[0].stop + corner[0] for box in boxes], np.int64),
        "right": np.array([box[1].stop + corner[1] for box in boxes], np.int64),
        "probability": total(levels[inside] / STEPS),
    }
    planes = [plane[..., n] for plane in pixels for n in range(3)] if pixels[0].ndim == 3 else pixels
    for n, plane in enumerate(planes):
        values = plane[inside].astype(np.float64)
        sums[f"sum{n}"], sums[f"squares{n}"] = total(values), total(values**2)
        sums[f"least{n}"] = np.asarray(ndi.minimum(plane, compact, index), np.float64).reshape(-1)
        sums[f"greatest{n}"] = np.asarray(ndi.maximum(plane, compact, index), np.float64).reshape(-1)
    return sums


def no_sums(channels: int) -> Arrays:
    """Return the sums over no object."""
    nothing = np.zeros((1, 1), np.uint8)
    return sums_of(nothing, nothing, [nothing] * channels, (0, 0))


def united(parts: Sequence[Arrays]) -> Arrays:
    """Return the sums of whole objects, from those of their parts; an object has one label (and frame, and plane)."""
    parts = [part for part in parts if part and len(part["label"])]
    if not parts:
        return {}
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    keys = np.stack([columns[name] for name in ("frame", "plane", "label")])
    known, where = np.unique(keys, axis=1, return_inverse=True)
    where = where.ravel()
    result: Arrays = dict(zip(("frame", "plane", "label"), known, strict=True))
    order = np.argsort(where, kind="stable")
    starts = np.flatnonzero(np.diff(where[order], prepend=-1))
    for name, values in columns.items():
        if name not in result:
            extreme = name in _LEAST or name.startswith("least"), name in _GREATEST or name.startswith("greatest")
            combine = np.minimum if extreme[0] else np.maximum if extreme[1] else np.add
            result[name] = combine.reduceat(values[order], starts)
    return result


def measured(
    sums: Arrays,
    prompts: Mapping[int, str] | NDArray[Any],
    spacing: Mapping[str, float],
    unit: str | None,
    channels: Sequence[str],
    solid: bool,
    sections: bool = True,
) -> dict[str, Any]:
    """Return a table of objects, column by column, named as :func:`~.measure_stack.measure_stack` names them.

    Parameters
    ----------
    sums
        From :func:`united`.
    prompts
        Label -> prompt.
    spacing, unit
        Sizes of a pixel along Z, Y, X and their unit, as far as known.
    channels
        Names of the image's channels.
    solid
        Whether an object's sections are a volume.
    sections
        Whether there are sections at all.
    """
    names = [str(prompts[label]) for label in sums["label"].tolist()]
    kinds = {name: find_object(name) for name in dict.fromkeys(names)}
    area = sums["area"].astype(np.float64)
    extent, letters = ("volume", "zyx") if solid else ("area", "yx")
    centre = {letter: sums[letter] / area for letter in letters}
    table: dict[str, Any] = {
        "label": sums["label"],
        "prompt": names,
        "object": [kind.id if (kind := kinds[name]) else "" for name in names],
        "frame": sums["frame"],
    }
    if sections and not solid:
        table["plane"] = sums["plane"]
    table[f"{extent}_px"] = sums["area"]
    table |= {f"centroid_{letter}_px": centre[letter] for letter in letters}
    sides = ("front", "top", "left", "back", "bottom", "right") if solid else ("top", "left", "bottom", "right")
    table |= {f"bbox_{side}_px": sums[side] for side in sides}
    if not solid:
        table["eccentricity"] = _eccentricity(sums, centre, area, spacing)
    table["mean_probability"] = sums["probability"] / area
    for n, channel in enumerate(channels):
        mean = sums[f"sum{n}"] / area
        table[f"intensity_{channel}_mean"] = mean
        table[f"intensity_{channel}_std"] = np.sqrt(np.maximum(0, sums[f"squares{n}"] / area - mean**2))
        table[f"intensity_{channel}_min"] = sums[f"least{n}"]
        table[f"intensity_{channel}_max"] = sums[f"greatest{n}"]
    if unit and all(letter in spacing for letter in letters.upper()):
        short, power = short_unit(unit), len(letters)
        sizes = {letter: spacing[letter.upper()] for letter in letters}
        size = area * float(np.prod(list(sizes.values())))
        table[f"{extent}_{short}{power}"] = size
        table |= {f"centroid_{letter}_{short}": centre[letter] * sizes[letter] for letter in letters}
        round_ = np.cbrt(6 * size / np.pi) if solid else np.sqrt(4 * size / np.pi)
        table[f"equivalent_diameter_{short}"] = round_
    return table


def _eccentricity(
    sums: Arrays, centre: Mapping[str, NDArray[Any]], area: NDArray[np.float64], spacing: Mapping[str, float]
) -> NDArray[np.float64]:
    """Return the eccentricity of the ellipses with the objects' second moments, in space."""
    tall, wide = spacing.get("Y", 1.0), spacing.get("X", 1.0)
    # Pixels count as points, and a single one has 0, as in engine.shape.
    yy = (sums["yy"] / area - centre["y"] ** 2) * tall**2
    xx = (sums["xx"] / area - centre["x"] ** 2) * wide**2
    yx = (sums["yx"] / area - centre["y"] * centre["x"]) * tall * wide
    middle, spread = (yy + xx) / 2, np.hypot((yy - xx) / 2, yx)
    ratio = np.divide(middle - spread, middle + spread, out=np.ones_like(middle), where=area > 1)
    flat: NDArray[np.float64] = np.sqrt(1 - np.clip(ratio, 0, 1))
    return flat


def as_parquet(table: Mapping[str, Any]) -> bytes:
    """Return a table as the content of a Parquet file."""
    arrow, parquet = need("pyarrow", "Writing tables", "batch"), need("pyarrow.parquet", "Writing tables", "batch")
    memory = io.BytesIO()
    parquet.write_table(arrow.table(dict(table)), memory)
    return memory.getvalue()
