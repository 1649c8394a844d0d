"""What a run has to do, or why it could not begin: true of what the viewer shows now."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QLabel, QWidget

if TYPE_CHECKING:
    from napari.components import ViewerModel

# Least width in pixels.
NARROW = 160
# Milliseconds of rest after which what moved is looked at.
RESTED = 200


class EstimateLine(QLabel):
    """A sentence that is told anew when layers, sliders, shapes or the camera have come to rest.

    Parameters
    ----------
    viewer
        The viewer.
    plan
        Returns the sentence; empty if there is nothing to say.
    parent
        Parent widget.
    """

    def __init__(self, viewer: ViewerModel, plan: Callable[[], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._plan = viewer, plan
        self.setWordWrap(True)
        # A layer's name must not widen the dock; a form keeps as much height as the text takes at the least width.
        self.setMinimumWidth(NARROW)
        self._timer = QTimer(self, singleShot=True, interval=RESTED)
        self._timer.timeout.connect(self.refresh)
        layers = viewer.layers
        self._events = [
            layers.events.inserted,
            layers.events.removed,
            layers.selection.events.changed,
            viewer.dims.events.current_step,
            viewer.camera.events.center,
            viewer.camera.events.zoom,
        ]
        for event in self._events:
            event.connect(self._on_moved)
        for layer in layers:
            self._heed(layer)

    def refresh(self) -> None:
        """Tell it as it is now."""
        self._timer.stop()
        text = self._plan()
        self.setText(text)
        self.setVisible(bool(text))

    def leave(self) -> None:
        """Stop listening; for when the widget goes away before the viewer."""
        self._timer.stop()
        for event in self._events:
            event.disconnect(self._on_moved)
        for layer in self._viewer.layers:
            layer.events.disconnect(self._on_moved)

    def _on_moved(self, event: Any) -> None:
        if event.type == "inserted":
            self._heed(event.value)
        self._timer.start()

    def _heed(self, layer: Any) -> None:
        """Listen to a layer in which shapes may be drawn."""
        from napari.layers import Shapes

        if isinstance(layer, Shapes):
            layer.events.data.connect(self._on_moved)
