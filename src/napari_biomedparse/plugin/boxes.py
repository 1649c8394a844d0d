"""From results to a shapes layer: a rectangle per object, in its colour, where the object lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from napari.layers import Shapes

from napari_biomedparse.engine.boxes import Box
from napari_biomedparse.ontology import colour_of
from napari_biomedparse.plugin.layers import ParsedLayer, place_above, transforms

if TYPE_CHECKING:
    from napari.components import ViewerModel

_COLUMNS = ["index", "prompt", "object", "score", "top", "left", "bottom", "right"]
# Share of the plane's longer side and of the middle box's shorter side that an edge may take: thick enough to be seen
# when the whole image is, thin enough not to hide small objects.
_OF_PLANE, _OF_BOX = 1 / 300, 1 / 12


class BoxLayer:
    """A shapes layer with the boxes of a result's objects.

    Parameters
    ----------
    parsed
        The result; its masks, plane and place in the viewer are used.
    """

    def __init__(self, parsed: ParsedLayer) -> None:
        self._parsed = parsed
        source = parsed.plane.layer
        self.layer = Shapes(
            ndim=source.ndim, name=f"{source.name} · BiomedParse · boxes", opacity=1, **transforms(source)
        )

    def draw(self, boxes: Sequence[Sequence[Box]]) -> None:
        """Replace the rectangles by those of ``boxes``, a sequence for each of the result's masks."""
        masks, plane = self._parsed.masks, self._parsed.plane
        objects = [(number, box) for number, found in enumerate(boxes) for box in found]
        self.layer.data = []
        if objects:
            self.layer.add(
                [plane.embed(box.corners) for _, box in objects],
                shape_type="rectangle",
                edge_width=_edge_width([box for _, box in objects], max(masks[0].probability.shape)),
                edge_color=[colour_of(masks[number].prompt, number + 1) for number, _ in objects],
                face_color="transparent",
            )
        rows = []
        for index, (number, box) in enumerate(objects, start=1):
            mask = masks[number]
            rows.append((index, mask.prompt, mask.object.id if mask.object else "", box.score, *box[:4]))
        self.layer.features = pd.DataFrame(rows, columns=_COLUMNS)

    def add_to(self, viewer: ViewerModel) -> Shapes:
        """Show the layer right above the labels; what is selected stays so, as the labels are what is worked with."""
        active = viewer.layers.selection.active
        place_above(viewer, self.layer, self._parsed.layer)
        viewer.layers.selection.active = active
        return self.layer


def _edge_width(boxes: Sequence[Box], side: int) -> float:
    """Return the width of the edges in pixels of the image."""
    middle = float(np.median([min(box.xywh[2:]) for box in boxes]))
    return min(side * _OF_PLANE, middle * _OF_BOX)
