"""A check box that shows a result's boxes and takes them away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QWidget

from napari_biomedparse.plugin.boxes import Boxed, BoxLayer, find_boxes
from napari_biomedparse.plugin.worker import Failure, Job, StartWork

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_biomedparse.plugin.result import Result


class BoxesSwitch(QCheckBox):
    """Show boxes around the objects of the last result.

    Parameters
    ----------
    viewer
        The viewer that shows them.
    start
        How work is done in the background: splitting the objects of a large image takes seconds.
    parent
        Parent widget.
    """

    def __init__(self, viewer: ViewerModel, start: StartWork, parent: QWidget | None = None) -> None:
        super().__init__("Boxes", parent)
        self._viewer, self._start = viewer, start
        self._result: Result | None = None
        self._boxes: BoxLayer | None = None
        # All that were drawn, also for earlier results.
        self._drawn: list[BoxLayer] = []
        self._job: Job | None = None
        self.toggled.connect(self._switch)

    def follow(self, result: Result | None) -> None:
        """Belong to this result from now on; the boxes of others stay as they are."""
        if result is None:
            # Its labels are gone; its boxes can still be taken away.
            self.stop()
            self._result = None
        elif result is not self._result:
            self._drawn = [boxes for boxes in self._drawn if boxes.layer in self._viewer.layers]
            self._result = result
            self._boxes = next((boxes for boxes in self._drawn if boxes.result is result), None)
            if self._boxes is None:
                self._switch(self.isChecked())

    def remove(self, result: Result) -> None:
        """Take the boxes of a result away."""
        for boxes in self._drawn:
            if boxes.result is result and boxes.layer in self._viewer.layers:
                self._viewer.layers.remove(boxes.layer)

    def refresh(self) -> None:
        """Find the boxes anew, at the result's present threshold, if they are shown."""
        if self._result is None or not self._shown():
            return
        self.stop()
        result = self._result
        findings, paint, groups = result.findings, result.recipe.paint, result.groups
        found: list[Boxed] = []

        def ended(failure: Failure | None) -> None:
            self._job = None
            if failure is None and self._boxes is not None and self._shown():
                self._boxes.draw(found)

        self._job = self._start(lambda: find_boxes(findings, paint, groups), found.extend, ended)

    @property
    def busy(self) -> bool:
        """Whether boxes are being found."""
        return self._job is not None

    def stop(self) -> None:
        """Let what is being found come to nothing."""
        if self._job is not None:
            self._job.quit()
            self._job = None

    def _shown(self) -> bool:
        return self._boxes is not None and self._boxes.layer in self._viewer.layers

    def _switch(self, on: bool) -> None:
        self.stop()
        if on and self._result is not None and self._result.shown_in(self._viewer):
            self._boxes = BoxLayer(self._result)
            self._boxes.add_to(self._viewer)
            self._drawn.append(self._boxes)
            self.refresh()
        elif not on and self._boxes is not None:
            if self._shown():
                self._viewer.layers.remove(self._boxes.layer)
            self._boxes = None
