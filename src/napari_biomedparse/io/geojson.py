"""Outlines of objects as GeoJSON that QuPath reads."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import regionprops

from napari_biomedparse.engine.frames import numbered
from napari_biomedparse.engine.measure_stack import Cell
from napari_biomedparse.io.polygons import outline
from napari_biomedparse.io.result import Export

# What is said by the feature itself.
_SAID = ("label", "prompt", "object", "frame", "plane")


def write_geojson(path: Path, result: Export) -> None:
    """Write a feature collection: a feature per object and plane, as QuPath exports and imports them.

    Polygons follow the pixels' edges, with holes, in pixels of the image's finest level, from its top left corner. In
    stacks and series each geometry has QuPath's ``plane``. Objects are detections where several share a prompt, else
    annotations. ``classification`` is the prompt with its colour, ``measurements`` the row's numbers but for box and
    centroid.
    """
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        separator = "\n"
        for feature in _features(result):
            file.write(separator + json.dumps(feature, ensure_ascii=False, allow_nan=False))
            separator = ",\n"
        file.write("\n]}\n")


def _features(result: Export) -> Iterator[dict[str, Any]]:
    kind = "detection" if len(set(result.names.values())) < len(result.names) else "annotation"
    firsts: dict[str, int] = {}
    for label, prompt in sorted(result.names.items()):
        firsts.setdefault(prompt, label)
    frames, depth, _, _ = result.frames.sizes
    for t in range(frames):
        for z in range(depth):
            values, known = numbered(result.frames.plane(t, z))
            for region in regionprops(values):
                label = int(known[region.label])
                row = result.row(label, t, z)
                geometry = _geometry(region, result)
                if frames > 1 or depth > 1:
                    geometry["plane"] = {"c": -1, "z": z, "t": t}
                yield {
                    "type": "Feature",
                    "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{result.source}/{result.title}/{t}/{z}/{label}")),
                    "geometry": geometry,
                    "properties": {"objectType": kind, "label": label, **_properties(result, label, firsts, row)},
                }


def _geometry(region: Any, result: Export) -> dict[str, Any]:
    corner = np.array(region.bbox[1::-1])
    factors = np.array([float(result.downsampling.get(letter, 1.0)) for letter in "XY"])
    polygons = [[_points((ring + corner) * factors) for ring in rings] for rings in outline(region.image)]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


def _points(ring: NDArray[np.float64]) -> list[list[float]]:
    whole = ring.astype(np.int64)
    points: list[list[float]] = (whole if (whole == ring).all() else ring.round(3)).tolist()
    return points


def _properties(result: Export, label: int, firsts: Mapping[str, int], row: Mapping[str, Cell]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if prompt := result.names.get(label):
        found["classification"] = {"name": prompt}
        # A class has one colour, an object may have a shade of it.
        if colour := result.rgb(firsts[prompt]):
            found["classification"]["color"] = colour
    if colour := result.rgb(label):
        found["color"] = colour
    numbers = {
        column: cell
        for column, cell in row.items()
        if isinstance(cell, int | float) and column not in _SAID and not column.startswith(("bbox_", "centroid_"))
    }
    if numbers:
        found["measurements"] = numbers
    return found
