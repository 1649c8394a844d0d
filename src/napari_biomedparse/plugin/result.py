"""A run's result as the window holds it: findings, layers, what was counted and reviewed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from napari_biomedparse.engine.follow import Findings
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.recipe import Recipe
from napari_biomedparse.engine.selection import Place
from napari_biomedparse.ontology.palette import RGBA, PaletteKind, palette
from napari_biomedparse.plugin.layers import ResultLayer, place_above
from napari_biomedparse.plugin.painting import Painted
from napari_biomedparse.plugin.planning import shown_place
from napari_biomedparse.plugin.rows import ResultRow
from napari_biomedparse.plugin.summary import Measure, summarise

if TYPE_CHECKING:
    import pandas as pd
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

Review = Literal["accepted", "rejected"]


@dataclass(frozen=True)
class Output:
    """What a run's result looks like.

    Parameters
    ----------
    one_layer_each
        A labels layer per prompt, in which objects may overlap.
    palette
        Colours of the ontology, or ones that colour-blind eyes tell apart.
    link
        Whether separate objects keep their number over z and t.
    """

    one_layer_each: bool = False
    palette: PaletteKind = "ontology"
    link: bool = True


@dataclass(eq=False)
class Result:
    """What a run found, and where it is shown.

    Attributes
    ----------
    image
        The layer that was parsed.
    findings
        What was found.
    recipe
        How.
    palette
        Which colours prompts get.
    one_layer_each
        Whether each prompt has a layer of its own, so that objects may overlap.
    layers
        The labels layers: one, or one per prompt.
    painted
        Plane and group -> what was counted there.
    hidden
        Prompts that are not shown.
    review
        Prompt -> what was decided about it.
    features
        For each layer the row per object, as measured last.
    guesses
        Whether the kind of image was left to the model.
    """

    image: Image
    findings: Findings
    recipe: Recipe
    palette: PaletteKind
    one_layer_each: bool
    layers: dict[str | None, ResultLayer] = field(default_factory=dict)
    painted: dict[tuple[Place, str | None], Painted] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    review: dict[str, Review] = field(default_factory=dict)
    features: dict[str | None, pd.DataFrame] = field(default_factory=dict)
    guesses: bool = field(init=False)

    def __post_init__(self) -> None:
        self.guesses = self.recipe.modality is None

    @property
    def colours(self) -> dict[str, RGBA]:
        """Prompt -> colour."""
        prompts = self.findings.prompts
        return dict(zip(prompts, palette(prompts, self.palette), strict=True))

    @property
    def groups(self) -> tuple[str | None, ...]:
        """What has a layer of its own: each prompt, or all together (None)."""
        return tuple(self.findings.prompts) if self.one_layer_each else (None,)

    def has(self, layer: Layer | None) -> bool:
        """Whether a layer is one of its layers."""
        # napari may hand plugins a proxy, which is equal to the layer but not the same.
        return any(entry.layer == layer for entry in self.layers.values())

    def shown_in(self, viewer: ViewerModel) -> bool:
        """Whether any of its layers is still there."""
        return any(entry.layer in viewer.layers for entry in self.layers.values())

    def place_in(self, viewer: ViewerModel) -> Place | None:
        """Return the plane that a viewer shows, None if nothing was found on it yet."""
        place = shown_place(viewer, self.findings.stack, self.image)
        return place if place in self.findings.planes else None

    def show(self, viewer: ViewerModel, below: Sequence[Layer]) -> None:
        """Add the labels layers above the image and other layers; called when the first plane is known."""
        under = max((layer for layer in below if layer in viewer.layers), key=viewer.layers.index, default=self.image)
        asked = ", ".join(self.recipe.prompts) or "all objects"
        for group in self.groups:
            about = group or asked
            self.layers[group] = ResultLayer(self.image, self.findings, self.recipe.paint, self.colours, about)
            place_above(viewer, self.layers[group].layer, under)

    def set_visible(self, visible: bool) -> None:
        """Show or hide all its layers."""
        for entry in self.layers.values():
            entry.layer.visible = visible

    def write(self, plane: Painted) -> None:
        """Show a plane's labels."""
        if self.layers[plane.alone].write(plane):
            self.layers[plane.alone].colour(self.hidden)
        # The layer holds the labels now; what was counted is enough.
        self.painted[plane.place, plane.alone] = replace(plane, values=plane.values[:0])

    def keep_edits(self, viewer: ViewerModel) -> list[Layer]:
        """Put labels that were drawn on aside, in hidden layers of their own; returns these."""
        edited = [entry for entry in self.layers.values() if entry.edited and entry.layer in viewer.layers]
        active = viewer.layers.selection.active
        kept = [entry.aside() for entry in edited]
        for entry, layer in zip(edited, kept, strict=True):
            place_above(viewer, layer, entry.layer)
        if edited:
            viewer.layers.selection.active = active
        return kept

    def change(self, paint: Paint) -> None:
        """Take over how masks become labels from now on."""
        self.recipe = replace(self.recipe, paint=paint)
        for entry in self.layers.values():
            entry.renew(paint.instances)

    def colour(self) -> None:
        """Give labels their colours; hidden ones none."""
        for entry in self.layers.values():
            entry.colours = self.colours
            entry.colour(self.hidden)

    def group_of(self, entry: ResultLayer) -> str | None:
        """Return whose layer one of its layers is: a prompt's, or that of all together (None)."""
        return next(group for group, other in self.layers.items() if other is entry)

    def recipe_of(self, entry: ResultLayer) -> Recipe:
        """Return what made one of its layers: of a layer of one prompt's, that prompt alone."""
        group = self.group_of(entry)
        if group is None:
            return self.recipe
        modality = self.findings.modality if self.recipe.recognizes else self.recipe.modality
        return replace(self.recipe, prompts=(group,), modality=modality)

    def describe(self, viewer: ViewerModel) -> None:
        """Fill the layers' tables and recipes."""
        tiles = {scale: dict(cut) for scale, cut in self.findings.tiles.items()}
        about = {"modality": self.findings.modality, "review": dict(self.review), "tiles": tiles}
        for group, entry in self.layers.items():
            if entry.layer in viewer.layers:
                entry.describe(self._table(group), self.recipe_of(entry), about)

    def _table(self, group: str | None) -> pd.DataFrame:
        """Return the row per object of a layer, with what was decided about it."""
        import pandas as pd

        table = self.features.get(group, pd.DataFrame(columns=["index", "prompt"]))
        presence = {row.prompt: row.presence for row in self.rows(Measure())}
        return table.assign(
            presence=[presence.get(prompt) for prompt in table["prompt"]],
            review=[self.review.get(prompt, "") for prompt in table["prompt"]],
        )

    def rows(self, measure: Measure) -> list[ResultRow]:
        """Return the rows of the results table."""
        if not self.findings.planes:
            return []
        hidden = frozenset(self.hidden)
        return summarise(
            self.findings, self.recipe.paint, self.painted.values(), measure, self.colours, hidden, self.review
        )

    def remove(self, viewer: ViewerModel) -> None:
        """Take its layers away."""
        for entry in self.layers.values():
            if entry.layer in viewer.layers:
                viewer.layers.remove(entry.layer)
