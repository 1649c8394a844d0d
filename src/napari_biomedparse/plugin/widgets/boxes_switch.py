"""A check box that shows a result's boxes and takes them away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QWidget

from napari_biomedparse.plugin.boxes import BoxLayer
from napari_biomedparse.plugin.worker import find_boxes

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.qt.threading import FunctionWorker

    from napari_biomedparse.engine.boxes import Box
    from napari_biomedparse.plugin.layers import ParsedLayer


class BoxesSwitch(QCheckBox):
    """Show boxes around the objects of the last result.

    Parameters
    ----------
    viewer
        The viewer that shows them.
    parent
        Parent widget.
    """

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__("Boxes", parent)
        self._viewer = viewer
        self._parsed: ParsedLayer | None = None
        self._boxes: BoxLayer | None = None
        self._worker: FunctionWorker | None = None
        self.toggled.connect(self._switch)

    def follow(self, parsed: ParsedLayer) -> None:
        """Belong to this result from now on; the boxes of the one before stay as they are."""
        self._parsed, self._boxes = parsed, None
        self._switch(self.isChecked())

    def refresh(self) -> None:
        """Find the boxes anew, at the result's present threshold, if they are shown."""
        if self._parsed is not None and self._shown():
            self.stop()
            # Splitting the objects of a large image takes seconds, in which the window must not stand still.
            worker = find_boxes(self._parsed.masks, self._parsed.threshold)
            worker.returned.connect(lambda boxes: self._draw(worker, boxes))
            self._worker = worker
            worker.start()

    def stop(self) -> None:
        """Let what is being found come to nothing."""
        if self._worker is not None:
            self._worker.quit()
            self._worker = None

    def _shown(self) -> bool:
        return self._boxes is not None and self._boxes.layer in self._viewer.layers

    def _switch(self, on: bool) -> None:
        self.stop()
        if on and self._parsed is not None and self._parsed.layer in self._viewer.layers:
            self._boxes = BoxLayer(self._parsed)
            self._boxes.add_to(self._viewer)
            self.refresh()
        elif not on and self._boxes is not None:
            if self._shown():
                self._viewer.layers.remove(self._boxes.layer)
            self._boxes = None

    def _draw(self, worker: FunctionWorker, boxes: list[list[Box]]) -> None:
        if worker is self._worker:
            self._worker = None
            if self._boxes is not None and self._shown():
                self._boxes.draw(boxes)
