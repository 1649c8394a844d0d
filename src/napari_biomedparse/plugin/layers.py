"""From a result to a labels layer: transforms, colours, names, a row per object, the recipe."""

from __future__ import annotations

from collections.abc import Mapping, Set
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from napari.layers import Labels
from napari.utils.transforms import Affine

from napari_biomedparse.engine.follow import Findings
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.recipe import Recipe
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.ontology.palette import RGBA
from napari_biomedparse.plugin.colours import label_colours
from napari_biomedparse.plugin.painting import Painted

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

METADATA_KEY = "napari-biomedparse"


class ResultLayer:
    """A labels layer of what was found on an image.

    Parameters
    ----------
    image
        The image.
    findings
        What was found on it.
    paint
        How masks become labels.
    colours
        Prompt -> colour.
    about
        What the layer's name ends with.
    """

    def __init__(self, image: Image, findings: Findings, paint: Paint, colours: Mapping[str, RGBA], about: str) -> None:
        self.findings, self.separate = findings, paint.instances
        self.colours = dict(colours)
        self._names: dict[int, str] = {}
        # Whether somebody has drawn on the labels since they were painted or put aside.
        self.edited = False
        self.layer = Labels(
            self._blank(),
            name=f"{image.name} · BiomedParse · {about}",
            opacity=0.5,
            metadata={METADATA_KEY: {"source": image.name}},
            **transforms(image, findings.stack.selection, findings.stack.shape),
        )
        self.layer.events.paint.connect(self._on_paint)

    @property
    def names(self) -> dict[int, str]:
        """Value -> prompt."""
        return dict(self._names)

    def aside(self) -> Labels:
        """Return a hidden copy of the labels as they are, with what was drawn on them."""
        self.edited = False
        data = self._blank()
        data[...] = self.layer.data
        _, state, _ = self.layer.as_layer_data_tuple()
        state |= {"name": f"{self.layer.name} (edited)", "visible": False, "metadata": deepcopy(self.layer.metadata)}
        return Labels(data, **state)

    def _on_paint(self, _event: Any) -> None:
        self.edited = True

    def _blank(self) -> Any:
        return self.findings.stack.blank(np.int32 if self.separate else np.uint16)

    def renew(self, separate: bool) -> None:
        """Begin anew with empty labels where values mean something else from now on: objects or prompts."""
        if separate != self.separate:
            self.separate = separate
            self.layer.data = self._blank()
            self._names = {}

    def write(self, plane: Painted) -> bool:
        """Set the labels of a plane; return whether values have come up that have no colour yet."""
        stack = self.findings.stack
        stack.write(self.layer.data, plane.place, plane.values)
        known = plane.names.items() <= self._names.items()
        self._names.update(plane.names)
        self.layer.refresh(extent=False, thumbnail=False)
        return not known

    def colour(self, hidden: Set[str]) -> None:
        """Give all values their colours, none to what is hidden."""
        self.layer.colormap = label_colours(self._names, self.colours, hidden, self.separate)

    def describe(self, features: pd.DataFrame, recipe: Recipe, about: Mapping[str, Any]) -> None:
        """Set the layer's table, a row per object, and what it was made from."""
        self.layer.features = features
        content = {"names": dict(self._names), "recipe": recipe.as_json(), "model": recipe.model, **about}
        # Another layer that napari made as a copy of this one shares what is in its metadata.
        self.layer.metadata[METADATA_KEY] = {**self.layer.metadata[METADATA_KEY], **content}
        self.layer.refresh(extent=False)


def file_of(layer: Layer) -> str:
    """Return the file that holds a layer's pixels as they are, also of the samples that ship; "" if none is known."""
    about = layer.metadata.get(METADATA_KEY)
    shipped = about.get("file") if isinstance(about, dict) else None
    return str(layer.source.path or shipped or "")


def recipe_of(layer: Layer) -> Recipe | None:
    """Return the recipe that a layer was made from, or None if it was not made by this plugin.

    Raises
    ------
    RecipeError
        If what is there is no recipe.
    """
    about = layer.metadata.get(METADATA_KEY)
    text = about.get("recipe") if isinstance(about, dict) else None
    return Recipe.from_json(text) if text else None


def transforms(image: Image, selection: Selection, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the arguments that make labels of a level, of this shape, lie where the image lies."""
    scale = np.asarray(image.scale, float)
    translate: Any = image.translate
    if selection.level:
        finest = image.data[0].shape[: image.ndim]
        factors = np.array([1 if letter == "C" else finest[n] / shape[n] for n, letter in enumerate(selection.axes)])
        placed = Affine(scale=scale, translate=image.translate, rotate=image.rotate, shear=image.shear)
        # A pixel of the level lies where the pixels it was made from have their middle.
        translate = placed((factors - 1) / 2)
        scale = scale * factors
    return {
        "scale": scale,
        "translate": translate,
        "rotate": image.rotate,
        "shear": image.shear,
        "affine": image.affine.affine_matrix,
        "units": image.units,
        "axis_labels": image.axis_labels,
    }


def place_above(viewer: ViewerModel, layer: Layer, other: Layer) -> None:
    """Add a layer right above another, or on top where that is gone."""
    settle_cursor(viewer)
    viewer.layers.append(layer)
    if other in viewer.layers:
        viewer.layers.move(len(viewer.layers) - 1, viewer.layers.index(other) + 1)


def settle_cursor(viewer: ViewerModel) -> None:
    """Give the cursor a view direction in 3D.

    napari 0.9.2 fails when a labels layer with features is active in 3D before the mouse has moved.
    """
    cursor = viewer.cursor
    if viewer.dims.ndisplay == 3 and getattr(cursor, "_view_direction", 0) is None:
        cursor._view_direction = viewer.scene.camera.calculate_nd_view_direction(
            viewer.dims.ndim, viewer.dims.displayed
        )
