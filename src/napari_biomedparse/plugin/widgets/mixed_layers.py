"""A list of the layers that can be mixed with the chosen one, to be ticked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QWidget

from napari_biomedparse.plugin.mixing import siblings

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

# Rows that are seen at once.
_ROWS = 4


class MixedLayers(QListWidget):
    """Tick which layers are further channels of the chosen one.

    Parameters
    ----------
    viewer
        The viewer whose layers are offered.
    parent
        Parent widget.
    """

    # Other layers are ticked, or others are offered.
    changed = Signal()

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layer: Image | None = None
        self._offered: list[Image] = []
        self._ticked: tuple[Image, ...] = ()
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        events = viewer.layers.events
        self._connected = (events.inserted, events.removed, events.reordered)
        for event in self._connected:
            event.connect(self.refill)
        self.itemChanged.connect(self._on_tick)

    @property
    def ticked(self) -> tuple[Image, ...]:
        """The ticked layers, lowest first."""
        return self._ticked

    def follow(self, layer: Image | None) -> None:
        """Offer what fits another layer; if it was mixed in so far, all that were mixed still are."""
        before = {self._layer, *self._ticked} - {layer} if layer in self._ticked else set()
        self._layer = layer
        self._ticked = tuple(other for other in self._viewer.layers if other in before)
        self.refill()

    def refill(self, _event: Any = None) -> None:
        """Offer what fits now; what does not fit any more is not mixed in either."""
        before, offered = self._ticked, self._offered
        for layer in self._offered:
            layer.events.name.disconnect(self._rename)
        self._offered = [] if self._layer is None else siblings(self._viewer, self._layer)
        self._ticked = tuple(layer for layer in self._offered if layer in before)
        was_blocked = self.blockSignals(True)
        self.clear()
        for layer in self._offered:
            layer.events.name.connect(self._rename)
            item = QListWidgetItem(layer.name, self)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked if layer in self._ticked else Qt.CheckState.Unchecked)
        self.blockSignals(was_blocked)
        rows = min(len(self._offered), _ROWS)
        self.setFixedHeight(rows * max(self.sizeHintForRow(0), 0) + 2 * self.frameWidth() + 2)
        if (self._offered, self._ticked) != (offered, before):
            self.changed.emit()

    def disconnect_viewer(self) -> None:
        """Stop listening; for when the widget goes away before the viewer."""
        for event in self._connected:
            event.disconnect(self.refill)
        for layer in self._offered:
            layer.events.name.disconnect(self._rename)

    def _rename(self, _event: Any = None) -> None:
        was_blocked = self.blockSignals(True)
        for row, layer in enumerate(self._offered):
            self.item(row).setText(layer.name)
        self.blockSignals(was_blocked)
        self.viewport().update()

    def _on_tick(self, _item: QListWidgetItem) -> None:
        self._ticked = tuple(
            layer for row, layer in enumerate(self._offered) if self.item(row).checkState() == Qt.CheckState.Checked
        )
        self.changed.emit()
