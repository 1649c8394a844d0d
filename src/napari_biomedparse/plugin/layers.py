"""From results to a labels layer: transforms, colours, names, a row per object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_biomedparse.engine.labels import compose_labels
from napari_biomedparse.engine.measure import measure_objects
from napari_biomedparse.engine.results import ObjectMask
from napari_biomedparse.ontology import colour_of
from napari_biomedparse.plugin.planes import Plane

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

METADATA_KEY = "napari-biomedparse"


class ParsedLayer:
    """A labels layer and the masks it is made from, so that its threshold can change without the model.

    Parameters
    ----------
    plane
        The plane that was parsed.
    masks
        What was found on it.
    threshold
        Probability above which a pixel is labelled.
    model
        Name of the model, kept in the metadata.
    """

    def __init__(self, plane: Plane, masks: Sequence[ObjectMask], threshold: float, model: str) -> None:
        source = plane.layer
        self.plane, self.masks, self.threshold = plane, list(masks), threshold
        prompts = [mask.prompt for mask in masks]
        self.layer = Labels(
            np.zeros(plane.shape, np.uint16),
            name=f"{source.name} · BiomedParse · {', '.join(prompts)}",
            opacity=0.5,
            colormap=label_colours(masks),
            metadata={
                METADATA_KEY: {
                    "names": dict(enumerate(prompts, start=1)),
                    "confidence": {mask.prompt: mask.confidence for mask in masks},
                    "model": model,
                    "source": source.name,
                    "plane": [None if isinstance(part, slice) else part for part in plane.index],
                }
            },
            **transforms(source),
        )
        self.paint(threshold)
        self.describe()

    def paint(self, threshold: float) -> None:
        """Label the plane anew at another threshold, without running the model."""
        self.threshold = threshold
        self._labels = compose_labels(self.masks, threshold)
        self.plane.write(self.layer.data, self._labels.values)
        self.layer.refresh()

    def describe(self) -> None:
        """Fill the layer's features, a row per object, and the threshold in its metadata."""
        rows = measure_objects(self._labels, self.masks, self.plane.pixel_size)
        confidence = {mask.prompt: mask.confidence for mask in self.masks}
        features = pd.DataFrame(rows, columns=None if rows else ["label", "prompt"]).rename(columns={"label": "index"})
        features["confidence"] = [confidence[prompt] for prompt in features["prompt"]]
        self.layer.features = features
        self.layer.metadata[METADATA_KEY]["threshold"] = self.threshold

    def add_to(self, viewer: ViewerModel) -> Labels:
        """Show the layer right above its image."""
        place_above(viewer, self.layer, self.plane.layer)
        return self.layer


def transforms(source: Image) -> dict[str, Any]:
    """Return the arguments that make a layer lie where ``source`` lies."""
    return {
        "scale": source.scale,
        "translate": source.translate,
        "rotate": source.rotate,
        "shear": source.shear,
        "affine": source.affine.affine_matrix,
        "units": source.units,
        "axis_labels": source.axis_labels,
    }


def place_above(viewer: ViewerModel, layer: Layer, other: Layer) -> None:
    """Add a layer right above another, or on top where that is gone."""
    _settle_cursor(viewer)
    viewer.layers.append(layer)
    if other in viewer.layers:
        viewer.layers.move(len(viewer.layers) - 1, viewer.layers.index(other) + 1)


def label_colours(masks: Sequence[ObjectMask]) -> DirectLabelColormap:
    """Return the colours of the n-th prompt's label n: the object's own, or one of a fixed set for free text."""
    colours: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    for number, mask in enumerate(masks, start=1):
        colours[number] = colour_of(mask.prompt, number)
    return DirectLabelColormap(color_dict=colours)


def _settle_cursor(viewer: ViewerModel) -> None:
    """Give the cursor a view direction in 3D.

    napari 0.9.2 fails when a labels layer with features is activated in 3D before the mouse has moved.
    """
    cursor = viewer.cursor
    if viewer.dims.ndisplay == 3 and getattr(cursor, "_view_direction", 0) is None:
        cursor._view_direction = viewer.scene.camera.calculate_nd_view_direction(
            viewer.dims.ndim, viewer.dims.displayed
        )
