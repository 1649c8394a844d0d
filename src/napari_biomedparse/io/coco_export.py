"""Labels in any dimension as a COCO data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skimage.measure import regionprops

from napari_biomedparse.engine.frames import numbered
from napari_biomedparse.engine.measure_stack import group_of
from napari_biomedparse.io.coco import CocoDataset
from napari_biomedparse.io.result import Export

UNNAMED = "unnamed"


def write_coco(path: Path, result: Export) -> None:
    """Write an image per plane and an annotation per object on it, in pixels of the labels.

    The planes of a stack or series have the same ``file_name`` and differ in ``frame`` and ``plane``, from 0; an
    object's ``label`` is the same on all its planes. The score is the row's mean probability, if it has one: that of
    the whole volume where objects are volumes.
    """
    prompts = dict.fromkeys(prompt for _, prompt in sorted(result.names.items()))
    dataset = CocoDataset(result.model, {prompt: group_of(prompt) for prompt in prompts})
    name = result.source.name if result.source else result.title
    frames, depth, _, _ = result.frames.sizes
    for t in range(frames):
        for z in range(depth):
            plane = result.frames.plane(t, z)
            values, known = numbered(plane)
            rows = []
            for region in regionprops(values):
                label = int(known[region.label])
                top, left, bottom, right = (int(side) for side in region.bbox)
                row: dict[str, Any] = {"label": label, "prompt": result.names.get(label) or UNNAMED}
                row |= {"area_px": int(region.area), "bbox_top_px": top, "bbox_left_px": left}
                row |= {"bbox_bottom_px": bottom, "bbox_right_px": right}
                row["mean_probability"] = result.row(label, t, z).get("mean_probability")
                rows.append(row)
            place = {"frame": t, "plane": z} if frames > 1 or depth > 1 else None
            dataset.add_plane(name, plane, rows, place)
    dataset.write(path)
