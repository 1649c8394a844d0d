"""What can be done with a result: measure, export, copy how it was made, run it again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QFileDialog, QWidget

from napari_biomedparse.engine.measure_stack import Cell
from napari_biomedparse.engine.recipe import RecipeError
from napari_biomedparse.engine.stack import channel_name
from napari_biomedparse.io.export import FORMATS, export
from napari_biomedparse.io.opened import open_image
from napari_biomedparse.io.result import Export
from napari_biomedparse.ontology.palette import by_label
from napari_biomedparse.plugin.controller import Controller
from napari_biomedparse.plugin.counting import spacing_of
from napari_biomedparse.plugin.layers import ResultLayer, file_of, recipe_of
from napari_biomedparse.plugin.mixing import source_of
from napari_biomedparse.plugin.result import Result
from napari_biomedparse.plugin.worker import Failure, Job, StartWork
from napari_biomedparse.plugin.world import data_to_world, world_to_data

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image


class ResultActions:
    """Do things with the controller's current result.

    Parameters
    ----------
    viewer
        Its viewer.
    controller
        Has the result.
    start
        How work is done in the background.
    """

    # A sentence for the user; whether it is a refusal.
    said = Signal(str, bool)

    def __init__(self, viewer: napari.viewer.Viewer, controller: Controller, start: StartWork) -> None:
        self._viewer, self._controller, self._start = viewer, controller, start
        self._job: Job | None = None

    @property
    def busy(self) -> bool:
        """Whether something is being measured or written."""
        return self._job is not None

    def leave(self) -> None:
        """Say nothing more; for when the dock goes away. A file that is being written is completed."""
        if self._job is not None:
            self._job.let_go()
            self._job = None

    def measure(self) -> None:
        """Measure all objects, fill the layer's table with that and show the table."""
        result = self._result()
        if result is None:
            return
        entry, recipe = self._entry(result), result.recipe

        def work() -> Generator[Any, None, None]:
            yield _exported(result, entry).rows

        def seen(rows: Sequence[Mapping[str, Cell]]) -> None:
            if entry.layer not in self._viewer.layers:
                self.said.emit("The labels were deleted while they were measured.", True)
                return
            if result.recipe != recipe:
                self.said.emit("The labels were changed while they were measured; measure them again.", True)
                return
            frame = pd.DataFrame(rows).rename(columns={"label": "index"})
            measured = frame if len(frame) else pd.DataFrame(columns=["index", "prompt"])
            result.features[result.group_of(entry)] = measured
            result.describe(self._viewer)
            self._viewer.layers.selection.active = entry.layer
            self._show_table()
            self.said.emit(f"Measured {len(frame)} objects; the table is below the image.", False)

        self._do(work, seen)

    def export(self, parent: QWidget | None = None) -> None:
        """Ask for a file and save the labels, or a table of them, in the format that its ending names."""
        if self._result() is None:
            return
        kinds = [f"{title} (*{ending})" for ending, title in FORMATS.items()]
        chosen, kind = QFileDialog.getSaveFileName(parent, "Export labels", "", ";;".join(kinds))
        if chosen:
            ending = list(FORMATS)[kinds.index(kind)] if kind in kinds else ""
            named = any(chosen.lower().endswith(known) for known in FORMATS)
            # The dialog itself has asked about a file that is there, but not about the one with the ending added.
            self.export_to(Path(chosen if named else chosen + ending), overwrite=named)

    def export_to(self, path: Path, overwrite: bool = False) -> None:
        """Save the labels, or a table of them, in the format that the ending names."""
        result = self._result()
        if result is None:
            return
        entry = self._entry(result)

        def work() -> Generator[Any, None, None]:
            yield export(_exported(result, entry), path, overwrite)

        self._do(work, lambda written: self.said.emit(f"Saved {written}.", False))

    def copy_script(self) -> None:
        """Put a Python script that makes the same labels on the clipboard."""
        result = self._result()
        if result is not None:
            self._copy(result, result.recipe_of(self._entry(result)).script(), "script")

    def copy_command(self) -> None:
        """Put a command that makes the same labels on the clipboard."""
        result = self._result()
        if result is not None:
            self._copy(result, result.recipe_of(self._entry(result)).command(), "command")

    def run_again(self, image: Image | None, beside: tuple[Image, ...] = ()) -> None:
        """Do again, on an image or several that are mixed, what made the selected labels layer."""
        active = self._viewer.layers.selection.active
        try:
            recipe = None if active is None else recipe_of(active)
        except RecipeError as error:
            self.said.emit(str(error), True)
            return
        if recipe is None or image is None:
            self.said.emit("Select a labels layer that BiomedParse made, and choose an image.", True)
            return
        self._controller.again(image, recipe, beside)

    def go_to(self, prompt: str) -> None:
        """Move the sliders to the plane where a prompt has most pixels."""
        result = self._controller.result
        if result is None:
            return
        counts = {place: plane.pixels.get(prompt, 0) for (place, _), plane in result.painted.items()}
        place = max(counts, key=counts.__getitem__, default=())
        if not place or not counts[place]:
            return
        stack, image = result.findings.stack, result.image
        data = world_to_data(self._viewer, image, self._viewer.dims.point)
        for letter, at in zip(stack.selection.free, place, strict=True):
            axis = stack.selection.axes.index(letter)
            # The middle of the planes that the level's was made from.
            data[axis] = (at + 0.5) * stack.levels[0].shape[axis] / stack.shape[axis] - 0.5
        world = data_to_world(self._viewer, image, data)
        missing = self._viewer.dims.ndim - image.ndim
        for axis, value in enumerate(world):
            if axis + missing not in self._viewer.dims.displayed:
                self._viewer.dims.set_point(axis + missing, value)

    def _result(self) -> Result | None:
        selected = self._viewer.layers.selection.active
        result = self._controller.result_of(selected) or self._controller.result
        if result is None:
            self.said.emit("There is no result yet; parse an image first.", True)
        elif self._job is not None:
            self.said.emit("Wait until the last file or table is complete.", True)
            return None
        return result

    def _entry(self, result: Result) -> ResultLayer:
        """Return the layer of a result that is selected, or its first."""
        active = self._viewer.layers.selection.active
        entries = [entry for entry in result.layers.values() if entry.layer in self._viewer.layers]
        return next((entry for entry in entries if entry.layer == active), entries[0])

    def _do(self, work: Callable[[], Generator[Any, None, None]], seen: Callable[[Any], None]) -> None:
        self.said.emit("Working …", False)

        def ended(failure: Failure | None) -> None:
            self._job = None
            if failure is not None:
                self.said.emit(failure.sentence, True)

        self._job = self._start(work, seen, ended)

    def _copy(self, result: Result, text: str, what: str) -> None:
        QApplication.clipboard().setText(text)
        stack = result.findings.stack
        if stack.apart and result.recipe.source == source_of(result.image, stack):
            needs = f"it needs {stack.name} as the channels of one file, in this order: put its path in place of IMAGE."
            self.said.emit(f"The {what} is on the clipboard, but {needs}", False)
        else:
            self.said.emit(f"The {what} is on the clipboard.", False)

    def _show_table(self) -> None:
        """Show napari's own table below the image; the dock keeps its height so."""
        docked, _ = self._viewer.window.add_plugin_dock_widget("napari", "Features table widget")
        docked.parent().addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, docked)
        docked.show()


def _exported(result: Result, entry: ResultLayer) -> Export:
    """Return the labels of a layer as they are now, measured."""
    spacing, unit = spacing_of(result.image, result.findings.stack)
    path = result.image.source.path
    made = Export.of(
        result.findings,
        result.recipe,
        entry.layer.data,
        entry.names,
        spacing,
        unit,
        _channel_names(result),
        colours=by_label(entry.names, entry.colours, result.recipe.paint.instances),
        title=entry.layer.name,
        source=Path(path) if path else None,
    )
    reviewed = [{**row, "review": result.review.get(str(row["prompt"]), "")} for row in made.rows]
    return replace(made, rows=reviewed, columns=(*made.columns, "review"))


def _channel_names(result: Result) -> Sequence[str]:
    """Return the names that the file of a result's image gives its channels, if it is one that can be read."""
    stack, path = result.findings.stack, file_of(result.image)
    known: Sequence[str] = ()
    if path and not stack.selection.rgb:
        # Each format's reader has exceptions of its own; the file is not needed for what was found.
        with suppress(Exception):
            known = open_image(Path(path)).channels
    if stack.apart:
        # The recipe names a file only where the layers' pixels were found in it.
        inside = known if result.recipe.source == path else ()
        return [channel_name(channel.index, inside) for channel in result.recipe.selection.channels]
    return known if len(known) == len(stack.channel_names()) else ()
