"""From results to a shapes layer: a rectangle per object, in its colour, where the object lies."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from napari.layers import Shapes
from numpy.typing import NDArray

from napari_biomedparse.engine.boxes import Box, box_objects
from napari_biomedparse.engine.follow import Findings
from napari_biomedparse.engine.kept import STEPS, KeptMask, step_of
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.selection import Place
from napari_biomedparse.ontology import find_object
from napari_biomedparse.plugin.layers import place_above, transforms
from napari_biomedparse.plugin.result import Result

if TYPE_CHECKING:
    from napari.components import ViewerModel

_COLUMNS = ["index", "prompt", "object", "score", "top", "left", "bottom", "right"]
# Share of the plane's longer side and of the middle box's shorter side that an edge may take: thick enough to be seen
# when the whole image is, thin enough not to hide small objects.
_OF_PLANE, _OF_BOX = 1 / 300, 1 / 12


@dataclass(frozen=True)
class Boxed:
    """A box and what it is around."""

    place: Place
    prompt: str
    box: Box


def find_boxes(
    findings: Findings, paint: Paint, groups: Sequence[str | None] = (None,)
) -> Generator[list[Boxed], None, None]:
    """Find the boxes of the separate objects that are painted, plane by plane: prompt after prompt, each from the top.

    Parameters
    ----------
    findings
        What was found.
    paint
        How masks become labels; objects are boxed separately, whether or not their labels are.
    groups
        What has a layer of its own, as :attr:`~napari_biomedparse.plugin.result.Result.groups`: objects of different
        layers may overlap.
    """
    separate = replace(paint, instances=True)
    for place in sorted(findings.planes):
        found: list[Boxed] = []
        for alone in groups:
            plane = findings.paint(place, separate, alone)
            # Of each value, that of the background first.
            prompts = np.array(["", *(plane.names[value] for value in range(1, len(plane.names) + 1))], object)
            for kept in findings.planes[place]:
                own = prompts == kept.prompt
                if own.any():
                    found += [Boxed(place, kept.prompt, box) for box in _around(plane.values, own, kept, paint)]
        yield found


def _around(values: NDArray[np.integer[Any]], own: NDArray[np.bool_], kept: KeptMask, paint: Paint) -> list[Box]:
    """Return the boxes around a prompt's objects, whose values ``own`` tells."""
    objects = np.where(own[values], values, 0).astype(np.int32)
    levels = kept.spread(kept.levels)
    # Pixels of filled holes do not count for the score.
    above = levels > step_of(paint.threshold_of(kept.prompt))
    return box_objects(objects, above, levels.astype(np.float32) / np.float32(STEPS))


class BoxLayer:
    """A shapes layer with the boxes of a result's objects.

    Parameters
    ----------
    result
        The result; its place in the viewer and its colours are used.
    """

    def __init__(self, result: Result) -> None:
        self.result = result
        stack = result.findings.stack
        self.layer = Shapes(
            ndim=result.image.ndim,
            name=f"{result.image.name} · BiomedParse · boxes",
            opacity=1,
            **transforms(result.image, stack.selection, stack.shape),
        )

    def draw(self, boxes: Sequence[Boxed]) -> None:
        """Replace the rectangles."""
        self.layer.data = []
        colours = self.result.colours
        stack = self.result.findings.stack
        rows_part, columns_part = stack.selection.part(stack.shape)
        top, left = rows_part.start, columns_part.start
        if boxes:
            self.layer.add(
                [self._corners(entry, top, left) for entry in boxes],
                shape_type="rectangle",
                edge_width=_edge_width([entry.box for entry in boxes], max(stack.selection.plane_shape(stack.shape))),
                edge_color=[colours[entry.prompt] for entry in boxes],
                face_color="transparent",
            )
        rows = []
        for index, entry in enumerate(boxes, start=1):
            meant, box = find_object(entry.prompt), entry.box
            sides = (box.top + top, box.left + left, box.bottom + top, box.right + left)
            rows.append((index, entry.prompt, meant.id if meant else "", box.score, *sides))
        self.layer.features = pd.DataFrame(rows, columns=_COLUMNS)

    def add_to(self, viewer: ViewerModel) -> Shapes:
        """Show the layer right above the labels; what is selected stays so, as the labels are what is worked with."""
        active = viewer.layers.selection.active
        labels = [entry.layer for entry in self.result.layers.values() if entry.layer in viewer.layers]
        place_above(viewer, self.layer, max(labels, key=viewer.layers.index) if labels else self.result.image)
        viewer.layers.selection.active = active
        return self.layer

    def _corners(self, entry: Boxed, top: int, left: int) -> NDArray[np.float64]:
        """Return a box's corners in the layer's data, (4, ndim)."""
        selection = self.result.findings.stack.selection
        at = dict(zip(selection.free, entry.place, strict=True))
        corners = np.empty((4, len(selection.axes)))
        for axis, letter in enumerate(selection.axes):
            if letter == selection.rows:
                corners[:, axis] = entry.box.corners[:, 0] + top
            elif letter == selection.columns:
                corners[:, axis] = entry.box.corners[:, 1] + left
            else:
                # A shape lies on one channel only: the one that was parsed.
                channel = selection.channels[0].index if selection.channels else 0
                corners[:, axis] = at.get(letter, channel)
        return corners


def _edge_width(boxes: Sequence[Box], side: int) -> float:
    """Return the width of the edges in pixels of the image."""
    middle = float(np.median([min(box.xywh[2:]) for box in boxes]))
    return min(side * _OF_PLANE, middle * _OF_BOX)
