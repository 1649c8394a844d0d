"""What the dock does, with signals and without Qt: start runs, show results, change how they are painted."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_biomedparse.engine.follow import Findings, Progress, Seen
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.recipe import Recipe
from napari_biomedparse.engine.recognition import LIMIT
from napari_biomedparse.engine.session import Session
from napari_biomedparse.engine.stack import Stack
from napari_biomedparse.errors import BiomedParseError
from napari_biomedparse.plugin.counting import measure_of
from napari_biomedparse.plugin.mixing import Joined, common_path, find_in_file, recorded, source_of, stack_again
from napari_biomedparse.plugin.painting import Painted, paint_all, paint_plane_of
from napari_biomedparse.plugin.planning import Pace, nearest_first, shown_place, stack_of, visible_middle
from napari_biomedparse.plugin.repainting import Repainting, Table, tables_of
from napari_biomedparse.plugin.result import Output, Result, Review
from napari_biomedparse.plugin.rows import ResultRow
from napari_biomedparse.plugin.selecting import Choices
from napari_biomedparse.plugin.sentence import sentence_of
from napari_biomedparse.plugin.worker import Failure, Job, StartWork

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

# Seconds after which the part of a plane that is finished is shown.
PREVIEW = 1.5


class Controller:
    """One run at a time on a viewer's images, and the results so far.

    Parameters
    ----------
    viewer
        Where images are and results go.
    session
        The model.
    start
        How work is done in the background.
    """

    # What is looked for.
    started = Signal(str)
    # Steps done, steps in all.
    advanced = Signal(int, int)
    # Nothing runs any more.
    ended = Signal()
    # A sentence for the user; whether it is a refusal.
    said = Signal(str, bool)
    # The current result, its rows or its looks have changed; None if there is none.
    changed = Signal(object)
    # A result was taken away on purpose.
    undone = Signal(object)

    def __init__(self, viewer: ViewerModel, session: Session, start: StartWork) -> None:
        self._viewer, self._session, self._start = viewer, session, start
        self._run: Job | None = None
        # The result of the run that is going on.
        self._pending: Result | None = None
        self._results: list[Result] = []
        self._began = 0.0
        self._painted_first: Paint | None = None
        self._repainting = Repainting(start, self._on_event, self.refuse)
        self._pace = Pace()
        self._sources: tuple[Image, ...] = ()
        self.paint = Paint()
        self.output = Output()
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def running(self) -> bool:
        """Whether a run is going on."""
        return self._run is not None

    @property
    def result(self) -> Result | None:
        """The result that sliders and table are about: the latest whose layers are still there."""
        return next((result for result in reversed(self._results) if result.shown_in(self._viewer)), None)

    def result_of(self, layer: Layer | None) -> Result | None:
        """Return the result that a labels layer is of, if any."""
        return next((result for result in self._results if result.has(layer)), None)

    @property
    def rows(self) -> list[ResultRow]:
        """The rows of the current result's table."""
        result = self.result
        return [] if result is None else result.rows(measure_of(result.image, result.findings.stack))

    def find(self, layer: Image | None, prompts: list[str], choices: Choices, modality: str | None) -> None:
        """Start to look for prompts, or for everything known where there is none."""
        if self.running:
            return
        if layer is None:
            self.refuse("Open an image first, or choose one from File > Open Sample > BiomedParse.")
            return
        with self.refusing():
            stack, recipe = self.question(layer, prompts, choices, modality)
            self._begin(layer, stack, recipe, choices.beside)

    def question(
        self, layer: Image, prompts: list[str], choices: Choices, modality: str | None
    ) -> tuple[Stack, Recipe]:
        """Return what is to be parsed, and how, with the present settings.

        Raises
        ------
        BiomedParseError
            If there is nothing to parse.
        """
        stack = stack_of(self._viewer, layer, prompts, choices, self._session.model)
        stack.places()
        # Words are asked for, so they are answered; what recognition comes up with has to look like it.
        paint = replace(self.paint, presence=0.0 if prompts else LIMIT, thresholds={})
        model, link = self._session.model, self.output.link
        source, diameter = source_of(layer, stack), choices.diameter
        recipe = Recipe(recorded(stack), tuple(prompts), modality, model, "", paint, link, source, diameter)
        return stack, recipe

    def plan(self, layer: Image | None, prompts: list[str], choices: Choices) -> str:
        """Say what a run would have to do: see :meth:`~napari_biomedparse.plugin.planning.Pace.plan`.

        Raises
        ------
        BiomedParseError
            If there is nothing to parse.
        """
        model = self._session.model
        return "" if layer is None else self._pace.plan(stack_of(self._viewer, layer, prompts, choices, model))

    def again(self, layer: Image, recipe: Recipe, beside: tuple[Image, ...] = ()) -> None:
        """Run a recipe anew, on an image that has its axes or, together with layers beside it, its channels."""
        if self.running:
            return
        with self.refusing():
            stack = stack_again(self._viewer, layer, beside, recipe.selection)
            if stack.apart:
                recipe = replace(recipe, selection=recorded(stack), source=source_of(layer, stack))
            self._begin(layer, stack, recipe, beside if stack.apart else ())

    def cancel(self) -> None:
        """Stop the run at its next step; what it has found so far stays."""
        if self.running:
            self._stop("Cancelled.")

    def undo(self) -> None:
        """Take the latest result away, or stop a run that has shown nothing yet."""
        silent = self._silent
        self.cancel()
        result = self.result
        if silent is not None:
            return
        if result is None:
            self.refuse("There is no run to undo.")
            return
        self._repainting.stop()
        result.remove(self._viewer)
        self.undone.emit(result)
        if self.result is not None and self.result.image is result.image:
            self.result.set_visible(True)
        self._take_over()
        self.said.emit("The last run is undone.", False)
        self.changed.emit(self.result)

    def set_paint(self, **changes: Any) -> None:
        """Change how masks become labels; the plane that is shown follows at once, all else with :meth:`settle`."""
        self.paint = replace(self.paint, **changes)
        if self._silent is not None:
            # The earlier result stays as it is: what is set now is meant for what is being looked for.
            self._silent.recipe = replace(self._silent.recipe, paint=self.paint)
            return
        result = self.result
        if result is None or self.paint == result.recipe.paint:
            return
        self._keep_edits(result)
        result.change(self.paint)
        self._repainting.unsettle(result)
        self._painted_first = None
        shown = result.place_in(self._viewer)
        # Telling objects apart takes too long for the window's thread.
        if not self.paint.instances and shown is not None:
            for plane in paint_plane_of(result.findings, shown, self.paint, result.groups):
                result.write(plane)
        self.changed.emit(result)

    def settle(self) -> None:
        """Let all planes, numbers and tables follow what was changed; for when a slider rests."""
        result = self.result
        # Where nothing was changed, painting again would only put the plain table in the place of a measured one.
        if result is not None and result is not self._pending and not self._repainting.is_settled(result):
            self._repainting.begin(result, result.place_in(self._viewer))

    def set_threshold_of(self, prompt: str, threshold: float | None) -> None:
        """Give a prompt a threshold of its own, or with None the common one."""
        others = {name: value for name, value in self.paint.thresholds.items() if name != prompt}
        self.set_paint(thresholds=others if threshold is None else {**others, prompt: threshold})

    def set_output(self, output: Output) -> None:
        """Change what results look like; the current one takes on the colours, the rest holds from the next run on."""
        self.output = output
        result = self._silent or self.result
        if result is not None:
            result.palette = output.palette
            linked = replace(result.recipe, link=output.link)
            relink = linked != result.recipe
            result.recipe = linked
            result.colour()
            self.changed.emit(self.result)
            if relink and self.paint.instances:
                self.settle()

    def set_visible(self, prompt: str, visible: bool) -> None:
        """Show or hide the labels of a prompt."""
        result = self.result
        if result is not None:
            (result.hidden.discard if visible else result.hidden.add)(prompt)
            result.colour()
            self.changed.emit(result)

    def review(self, prompt: str, verdict: Review | None) -> None:
        """Accept or reject what was found, or take that back; kept in the layer's table and in exports."""
        result = self.result
        if result is not None:
            if verdict is None:
                result.review.pop(prompt, None)
            else:
                result.review[prompt] = verdict
            result.describe(self._viewer)
            self.changed.emit(result)

    def refuse(self, sentence: str) -> None:
        """Tell the user why nothing is done."""
        self.said.emit(sentence, True)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse what ends in an error that the user can mend."""
        try:
            yield
        except BiomedParseError as error:
            self.refuse(str(error))

    def leave(self) -> None:
        """Stop all work; for when the window goes away."""
        self._drop_run()
        self._repainting.stop()
        self._viewer.layers.events.removed.disconnect(self._on_removed)

    def _begin(self, layer: Image, stack: Stack, recipe: Recipe, beside: tuple[Image, ...]) -> None:
        looks = self.output
        result = Result(layer, Findings(stack, recipe.recognizes), recipe, looks.palette, looks.one_layer_each)
        places = nearest_first(stack, shown_place(self._viewer, stack, layer))
        near = visible_middle(layer, stack)
        if self._repainting.is_due(self.result):
            self.settle()
        self._adopt(recipe)
        self._sources = (layer, *beside)
        path = common_path(self._sources)
        for source in self._sources:
            source.events.data.connect(self._on_data)
        self._began, self._painted_first = monotonic(), recipe.paint
        self._pace.begin()
        what = ", ".join(recipe.prompts) or "everything known"
        planes = "" if len(places) == 1 else f", {len(places)} planes"
        self.said.emit(f"Looking for {what} on {stack.name}{planes} …", False)

        def work() -> Generator[Any, None, None]:
            for event in self._session.look(stack, recipe, places, near=near, every=PREVIEW):
                if isinstance(event, Seen):
                    result.findings.add(event)
                    yield from paint_plane_of(result.findings, event.place, result.recipe.paint, result.groups)
                else:
                    yield event
            yield from self._finished(result, path)

        self._pending = result
        self._run = self._start(
            work, lambda event: self._on_event(result, event), lambda failure: self._on_end(result, failure)
        )
        self.started.emit(what)

    def _finished(self, result: Result, path: str | None) -> Generator[Any, None, None]:
        """Paint the objects of all planes with lasting numbers, and measure them."""
        yield from find_in_file(result.findings.stack, list(result.findings.planes), path)
        recipe = result.recipe
        if len(result.findings.planes) > 1 and recipe.paint.instances:
            yield from paint_all(result.findings, recipe.paint, recipe.link, result.groups, None)
        yield tables_of(result, recipe)

    def _on_event(self, result: Result, event: Progress | Painted | Joined | Table) -> None:
        if isinstance(event, Progress):
            self._pace.step()
            self.advanced.emit(event.done, event.total)
        elif isinstance(event, Painted):
            if not result.layers:
                self._show_first(result)
            if (event.place, event.alone) in result.painted:
                self._keep_edits(result)
            result.write(event)
            self.changed.emit(result)
        elif isinstance(event, Joined):
            result.recipe = event.tell(result.recipe)
        elif isinstance(event, Table):
            result.features = event.rows
            if not result.recipe.weights:
                # With the kind of image that was guessed, the recipe gives the same from whichever plane it begins.
                modality = result.recipe.modality or result.findings.modality
                weights = self._session.weights_of(result.recipe.model)
                result.recipe = replace(result.recipe, weights=weights, modality=modality)
            result.describe(self._viewer)

    def _show_first(self, result: Result) -> None:
        """Show a new result on top of earlier ones of the same image, which are hidden."""
        earlier = [other for other in self._results if other.image is result.image and other.shown_in(self._viewer)]
        for other in earlier:
            other.set_visible(False)
        result.show(self._viewer, [entry.layer for other in earlier for entry in other.layers.values()])
        self._results.append(result)

    def _on_end(self, result: Result, failure: Failure | None) -> None:
        self._drop_run()
        if failure is not None:
            self.refuse(failure.sentence)
        else:
            seconds = monotonic() - self._began
            self._pace.end(sum(mask.shape[0] * mask.shape[1] for mask, *_ in result.findings.planes.values()))
            measure = measure_of(result.image, result.findings.stack)
            how = f"({seconds:.1f}\N{NO-BREAK SPACE}s on {self._session.running_on})"
            self.said.emit(f"{sentence_of(result, result.rows(measure))} {how}", False)
        self.ended.emit()
        # Planes that were finished before the settings were changed still have the old ones.
        # Of a run that broke off, objects were not linked and measured yet.
        if result.layers and (failure is not None or result.recipe.paint != self._painted_first):
            self._repainting.begin(result, result.place_in(self._viewer))
        elif failure is None:
            self._repainting.settled(result, result.recipe)

    @property
    def _silent(self) -> Result | None:
        """The result of the run that is going on, while nothing of it is shown."""
        return self._pending if self._pending is not None and not self._pending.layers else None

    def _adopt(self, recipe: Recipe) -> None:
        self.paint, self.output = recipe.paint, replace(self.output, link=recipe.link)

    def _take_over(self) -> None:
        """Take over the settings of the result that is the latest now."""
        if self.result is not None and self._silent is None:
            self._adopt(self.result.recipe)
        if self._repainting.is_due(self.result):
            self.settle()

    def _keep_edits(self, result: Result) -> None:
        """Put what was drawn by hand on a result's labels aside before they are painted anew."""
        for layer in result.keep_edits(self._viewer):
            self.said.emit(f"What you drew is kept in the hidden layer {layer.name}.", True)

    def _stop(self, sentence: str) -> None:
        self._drop_run()
        # What is finished stays, linked and measured.
        self.settle()
        self.said.emit(sentence, False)
        self.ended.emit()

    def _drop_run(self) -> None:
        if self._run is not None:
            self._run.quit()
        self._run = self._pending = None
        for source in self._sources:
            source.events.data.disconnect(self._on_data)
        self._sources = ()

    def _on_data(self, event: Any) -> None:
        if self._run is not None:
            self._stop(f"Stopped: the pixels of {event.source} were changed while it was parsed. Run again.")

    def _on_removed(self, event: Any) -> None:
        if any(event.value is source for source in self._sources):
            self._stop(f"Stopped: {event.value.name} was deleted while it was parsed.")
        pending = self._pending
        if pending is not None and pending.layers and not pending.shown_in(self._viewer):
            self._stop("Stopped: the labels were deleted while the image was parsed.")
        there = [result for result in self._results if result.shown_in(self._viewer)]
        if self.result_of(event.value) is not None:
            # Findings are large: those without a layer are let go.
            self._results = there
            self._repainting.forget(there)
            self._take_over()
            self.changed.emit(self.result)
