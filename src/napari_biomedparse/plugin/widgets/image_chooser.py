"""A list of the viewer's layers of a kind that follows the selection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Layer
from qtpy.QtWidgets import QComboBox, QWidget

if TYPE_CHECKING:
    from napari.components import ViewerModel


class ImageChooser(QComboBox):
    """Choose an image layer, or one of another kind; selecting one in the viewer chooses it here.

    Parameters
    ----------
    viewer
        The viewer whose layers are listed.
    kind
        The kind of layers to choose from.
    parent
        Parent widget.
    """

    def __init__(self, viewer: ViewerModel, kind: type[Layer] = Image, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._kind = viewer, kind
        self._layers: list[Any] = []
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        events = viewer.layers.events
        self._connected = (events.inserted, events.removed, events.reordered)
        for event in self._connected:
            event.connect(self._refill)
        viewer.layers.selection.events.active.connect(self._follow)
        self._refill()
        self._follow()

    @property
    def layer(self) -> Any:
        """The chosen layer, or None if there is none of the kind."""
        at = self.currentIndex()
        return self._layers[at] if 0 <= at < len(self._layers) else None

    def disconnect_viewer(self) -> None:
        """Stop listening; for when the widget goes away before the viewer."""
        for event in self._connected:
            event.disconnect(self._refill)
        self._viewer.layers.selection.events.active.disconnect(self._follow)
        for layer in self._layers:
            layer.events.name.disconnect(self._rename)

    def _refill(self, _event: Any = None) -> None:
        chosen = self.layer
        for layer in self._layers:
            layer.events.name.disconnect(self._rename)
        # Topmost first, as in the viewer's own list.
        self._layers = [layer for layer in reversed(self._viewer.layers) if isinstance(layer, self._kind)]
        # Signals stay off while the list is emptied, so that nobody sees a choice in between.
        was_blocked = self.blockSignals(True)
        self.clear()
        for layer in self._layers:
            layer.events.name.connect(self._rename)
            self.addItem(layer.name)
        if chosen in self._layers:
            self.setCurrentIndex(self._layers.index(chosen))
        self.blockSignals(was_blocked)
        if self.layer is not chosen:
            self.currentIndexChanged.emit(self.currentIndex())

    def _rename(self, _event: Any = None) -> None:
        for at, layer in enumerate(self._layers):
            self.setItemText(at, layer.name)

    def _follow(self, _event: Any = None) -> None:
        active = self._viewer.layers.selection.active
        if active in self._layers:
            self.setCurrentIndex(self._layers.index(active))
