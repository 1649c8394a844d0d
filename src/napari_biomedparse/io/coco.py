"""Objects of many images in one file, in the layout of the COCO data set (https://cocodataset.org/#format-data)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse import __version__
from napari_biomedparse.engine.boxes import Box
from napari_biomedparse.engine.labels import LabelImage


class CocoDataset:
    """Gathers images and their objects, one image after another.

    Parameters
    ----------
    model
        Name of the model, kept in the file.
    groups
        What is looked for in the images: prompt -> the group it belongs to, empty if unknown. Each becomes a category,
        and so does any other prompt that comes up.
    """

    def __init__(self, model: str, groups: Mapping[str, str]) -> None:
        self._info = {"program": "napari-biomedparse", "version": __version__, "model": model}
        self._categories = {prompt: number for number, prompt in enumerate(groups, start=1)}
        self._groups = dict(groups)
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, image: Path, labels: LabelImage, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add an image and an annotation per row.

        Parameters
        ----------
        image
            The image file; its name is kept, without folders.
        labels
            The image's labels.
        rows
            Their measurements, as :func:`~napari_biomedparse.engine.measure.measure_objects` gives them.
        """
        self.add_plane(image.name, labels.values, rows)

    def add_plane(
        self,
        name: str,
        values: NDArray[np.integer[Any]],
        rows: Sequence[Mapping[str, Any]],
        place: Mapping[str, int] | None = None,
    ) -> None:
        """Add a plane of an image and an annotation per row.

        Parameters
        ----------
        name
            Of the image file.
        values
            Labels (H, W).
        rows
            ``label``, ``prompt``, ``area_px``, the box as ``bbox_top_px`` and so on, and ``mean_probability`` if known.
        place
            Where the plane lies in the image, such as its ``frame``; kept beside the image's name. Its objects keep
            their ``label`` then, which tells what belongs together.
        """
        height, width = values.shape
        number = len(self._images) + 1
        self._images.append({"id": number, "file_name": name, "width": width, "height": height, **(place or {})})
        for row in rows:
            prompt, box = str(row["prompt"]), _box(row)
            self._groups.setdefault(prompt, "")
            annotation = {
                "id": len(self._annotations) + 1,
                "image_id": number,
                "category_id": self._categories.setdefault(prompt, len(self._categories) + 1),
                "bbox": box.xywh,
                "area": row["area_px"],
                "iscrowd": 0,
                "segmentation": {
                    "counts": run_lengths(values, int(row["label"]), box),
                    "size": [height, width],
                },
            }
            if row.get("mean_probability") is not None:
                annotation["score"] = box.score
            if place:
                annotation["label"] = row["label"]
            self._annotations.append(annotation)

    def write(self, path: Path) -> None:
        """Write everything that was added as JSON."""
        content = {
            "info": self._info,
            "images": self._images,
            "categories": [
                {"id": number, "name": prompt, "supercategory": self._groups[prompt]}
                for prompt, number in self._categories.items()
            ],
            "annotations": self._annotations,
        }
        path.write_text(json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _box(row: Mapping[str, Any]) -> Box:
    top, left, bottom, right = (int(row[f"bbox_{side}_px"]) for side in ("top", "left", "bottom", "right"))
    return Box(top, left, bottom, right, float(row.get("mean_probability") or 0.0))


def run_lengths(values: NDArray[np.integer[Any]], value: int, box: Box) -> list[int]:
    """Return the lengths of the runs of other pixels and of those equal to ``value``, by turns, down the columns.

    Parameters
    ----------
    values
        (H, W).
    value
        The value whose pixels are meant; they lie in ``box``.
    box
        Spares looking at the rest of a large image.

    Returns
    -------
    list of int
        The first counts other pixels and may be 0, as in COCO's uncompressed run-length encoding.
    """
    height, width = values.shape
    inside: NDArray[np.bool_] = values[box.top : box.bottom, box.left : box.right] == value
    columns, rows = inside.T.nonzero()
    # Places in the column-major image; a run goes on from the foot of a column to the head of the next.
    places = (columns + box.left) * height + rows + box.top
    starts = places[np.diff(places, prepend=-2) > 1]
    ends = places[np.diff(places, append=height * width + 1) > 1] + 1
    turns = np.stack([starts, ends], axis=1).ravel()
    lengths: list[int] = np.diff(turns, prepend=0, append=height * width).tolist()
    return lengths if lengths[-1] else lengths[:-1]
