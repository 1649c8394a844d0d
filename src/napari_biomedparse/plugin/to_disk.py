"""Runs to the disk as the dock has them: for images larger than memory, here or on a cluster."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING

from napari.layers import Labels
from psygnal import Signal

from napari_biomedparse.engine.session import Session
from napari_biomedparse.errors import BiomedParseError
from napari_biomedparse.ontology.palette import palette
from napari_biomedparse.plugin.colours import label_colours
from napari_biomedparse.plugin.controller import Controller
from napari_biomedparse.plugin.disk_work import Growing, Question, Step, Written, write_labels
from napari_biomedparse.plugin.layers import METADATA_KEY, place_above, transforms
from napari_biomedparse.plugin.selecting import Choices
from napari_biomedparse.plugin.worker import Failure, StartWork

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

# Seconds between looks at what has grown.
REFRESH = 1.0


@dataclass(eq=False)
class _Run:
    """A run that is going on."""

    image: Image
    question: Question
    stopped: Event = field(default_factory=Event)
    looked_at: float = 0.0


class ToDisk:
    """One run at a time over the file of a layer, and its labels while they grow.

    Parameters
    ----------
    viewer
        Where images are and labels go.
    controller
        Makes the recipe, as for a run in the window.
    session
        Knows the device.
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

    def __init__(self, viewer: ViewerModel, controller: Controller, session: Session, start: StartWork) -> None:
        self._viewer, self._controller, self._session, self._start = viewer, controller, session, start
        self._run: _Run | None = None
        self._growing: Labels | None = None

    @property
    def running(self) -> bool:
        """Whether a run is going on."""
        return self._run is not None

    def begin(
        self,
        layer: Image | None,
        prompts: list[str],
        choices: Choices,
        modality: str | None,
        folder: Path,
        scheduler: str = "",
    ) -> None:
        """Start to look for prompts, or for everything known where there is none, on all planes of a layer's file."""
        if self.running or self._controller.running:
            self.said.emit("Wait until the run has ended, or cancel it.", True)
            return
        if layer is None:
            self.said.emit("Open an image from a file first.", True)
            return
        path = layer.source.path
        if not path:
            self.said.emit(
                f"{layer.name} was not opened from a file, so there is none to run over: save it and open what was "
                "saved, or choose a layer that was opened from a file.",
                True,
            )
            return
        try:
            stack, recipe = self._controller.question(layer, prompts, choices, modality)
        except BiomedParseError as error:
            self.said.emit(str(error), True)
            return
        if stack.apart:
            self.said.emit(
                "A run to the disk mixes no layers: untick the others below Reading > Mix with, or open the file such "
                "that its channels lie along one axis.",
                True,
            )
            return
        question = Question(Path(path), stack, recipe, self._session.device, folder.absolute(), scheduler)
        run = self._run = _Run(layer, question)
        what = ", ".join(prompts) or "everything known"
        self.said.emit(f"Looking for {what} in {path}; labels go to {question.folder} …", False)
        self._start(
            lambda: write_labels(question, run.stopped),
            lambda event: self._on_event(run, event),
            lambda failure: self._on_end(run, failure),
        )
        self.started.emit(what)

    def cancel(self) -> None:
        """Stop the run after its present task; what was done stays on the disk."""
        if self._run is not None:
            self._run.stopped.set()
            self.said.emit("Cancelling after the present step …", False)

    def leave(self) -> None:
        """Stop all work; for when the window goes away."""
        # The work ends by itself, for it has a model, and perhaps a cluster, to let go of.
        if self._run is not None:
            self._run.stopped.set()
            self._run = None

    def _on_event(self, run: _Run, event: Growing | Step | Written) -> None:
        if run is not self._run:
            return
        if isinstance(event, Growing):
            self._show_growing(run, event)
        elif isinstance(event, Step):
            self.advanced.emit(event.done, event.total)
            now = monotonic()
            if now - run.looked_at >= REFRESH:
                self._look()
                run.looked_at = now
        else:
            self._show(run, event)

    def _on_end(self, run: _Run, failure: Failure | None) -> None:
        if run is not self._run:
            return
        self._run = None
        if failure is not None:
            self.said.emit(failure.sentence, True)
        elif run.stopped.is_set():
            self.said.emit(
                "Cancelled. What was done is kept: run it again with the same folder and question to go on.", False
            )
        self._look()
        self.ended.emit()

    def _show_growing(self, run: _Run, event: Growing) -> None:
        self._drop_growing()
        stack = run.question.stack
        placed = transforms(run.image, stack.selection, stack.shape)
        factors = [event.step if letter in "YX" else 1 for letter in stack.selection.axes]
        names = dict(enumerate(event.prompts, start=1))
        colours = dict(zip(event.prompts, palette(event.prompts, self._controller.output.palette), strict=True))
        self._growing = Labels(
            event.labels,
            name=f"{run.image.name} · BiomedParse · growing",
            opacity=0.5,
            # What is kept in a cache would not grow.
            cache=False,
            colormap=label_colours(names, colours, set(), False),
            metadata={METADATA_KEY: {"source": run.image.name, "names": names}},
            **(placed | {"scale": placed["scale"] * factors}),
        )
        place_above(self._viewer, self._growing, run.image)

    def _look(self) -> None:
        """Show what has grown since."""
        if self._growing is not None and self._growing in self._viewer.layers:
            self._growing.refresh(extent=False)

    def _drop_growing(self) -> None:
        if self._growing in self._viewer.layers:
            self._viewer.layers.remove(self._growing)
        self._growing = None

    def _show(self, run: _Run, event: Written) -> None:
        self._drop_growing()
        stack, asked = run.question.stack, ", ".join(run.question.recipe.prompts) or "all objects"
        several = len(event.levels) > 1
        settings = event.settings | {"name": f"{run.image.name} · BiomedParse · {asked}", "multiscale": several}
        settings["metadata"][METADATA_KEY] |= {"source": run.image.name}
        layer = Labels(
            event.levels if several else event.levels[0],
            opacity=0.5,
            **(settings | transforms(run.image, stack.selection, stack.shape)),
        )
        place_above(self._viewer, layer, run.image)
        counts, parted = event.objects.items(), run.question.recipe.paint.instances
        found = ", ".join(
            f"{prompt}: {count}" if parted else f"{prompt} on {count} plane{'s' if count > 1 else ''}"
            for prompt, count in counts
            if count
        )
        said = f"{found or 'Finished'}; the labels are in {event.store}."
        if event.outdated:
            said += f" The image was changed after they were made: to do it again, remove {event.store}."
        self.said.emit(said, event.outdated)
