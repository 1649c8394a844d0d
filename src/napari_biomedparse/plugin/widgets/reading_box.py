"""How an image is read: its axes, channels and grey values, with a picture of what the model sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QFormLayout, QLabel, QLineEdit, QWidget

from napari_biomedparse.engine.axes import Axes, AxesError
from napari_biomedparse.engine.hounsfield import CT_WINDOWS, SOFT_TISSUE, is_like_hounsfield, site_window
from napari_biomedparse.engine.selection import COLOURS
from napari_biomedparse.plugin.selecting import Choices, Scope, axes_of
from napari_biomedparse.plugin.widgets.mixed_layers import MixedLayers
from napari_biomedparse.plugin.widgets.naming import named

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

SIDE = 128
# What is offered for an image with an axis of channels, with whether they are mixed, and for one in colours, with which
# of them is taken for a grey image.
CHANNELS = (("shown one", False), ("all, mixed to colours", True))
IN_COLOURS = (("colours as they are", None), *((f"{name}, as grey", n) for n, name in enumerate(COLOURS)))


class ReadingBox(QWidget):
    """Say what axes, channels and grey values mean.

    Parameters
    ----------
    viewer
        Its layers can be mixed.
    parent
        Parent widget.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layer: Image | None = None
        # Whether the grey values were set to the layers' own because some were ticked.
        self._own_window = False
        # The window of the kind of image that was chosen, and whether it was taken because the layer looks like a CT.
        self._of_modality = SOFT_TISSUE
        self._ct_window = False
        # What was chosen for single layers: another picture need not have the same stains or axes.
        self._typed: WeakKeyDictionary[Image, str] = WeakKeyDictionary()
        self._colours: WeakKeyDictionary[Image, int | None] = WeakKeyDictionary()
        self.axes = named(QLineEdit(), "axes", "A letter of T, C, Z, Y, X for each axis of the image")
        self.note = named(QLabel(), "axes_note", "How the axes were read")
        self.note.setWordWrap(True)
        # A layer's name must not widen the dock.
        self.note.setMinimumWidth(SIDE)
        self.channels = named(QComboBox(), "channels", "Which channels are parsed")
        self._mixing = False
        self._offer(None)
        self.beside_list = named(
            MixedLayers(viewer), "mixed", "Other layers that are mixed in as channels, in the colours they are shown in"
        )
        self.window_values = named(QComboBox(), "window", "Which grey values become black and white")
        self.window_values.addItem("automatic", None)
        self.window_values.addItem("contrast limits of the layer", "layer")
        for site, (low, high) in CT_WINDOWS.items():
            self.window_values.addItem(f"CT {site} ({low:g} to {high:g})", (low, high))
        self.cells = named(QDoubleSpinBox(), "diameter", "Diameter of the cells in pixels; 0 to have it measured")
        self.cells.setRange(0, 9999)
        self.cells.setDecimals(1)
        self.cells.setSuffix(" px")
        self.cells.setSpecialValueText("measured")
        self.thumbnail = named(QLabel(), "thumbnail", "What the model sees")
        self.thumbnail.setFixedSize(SIDE, SIDE)
        self.thumbnail.setAlignment(Qt.AlignmentFlag.AlignCenter)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Axes", self.axes)
        form.addRow(self.note)
        form.addRow("Channels", self.channels)
        form.addRow("Mix with", self.beside_list)
        form.addRow("Grey values", self.window_values)
        form.addRow("Cell diameter", self.cells)
        form.addRow("Model sees", self.thumbnail)
        self.cells.valueChanged.connect(lambda _value: self.changed.emit())
        for box in (self.channels, self.window_values):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.channels.currentIndexChanged.connect(lambda _index: self._on_channels())
        self.window_values.currentIndexChanged.connect(lambda _index: self.changed.emit())
        self.axes.editingFinished.connect(self._edited)
        self._form = form
        form.setRowVisible(self.beside_list, False)
        self.beside_list.changed.connect(self._on_beside)

    def follow(self, layer: Image | None) -> None:
        """Show how a layer's axes are read."""
        other, self._layer = layer is not self._layer, layer
        self.setEnabled(layer is not None)
        self.axes.clear()
        self.note.clear()
        self.beside_list.follow(layer)
        if layer is None:
            return
        try:
            read = Axes(self._typed[layer]) if layer in self._typed else axes_of(layer)
            self.axes.setText(read.order)
            self.note.setText("" if read.certain else read.reason)
        except AxesError as error:
            self.note.setText(str(error))
        place = Axes(self.axes.text()).place("C") if self.axes.text() else None
        self._offer(layer)
        self.channels.setEnabled(place is not None or layer.rgb)
        self.window_values.setEnabled(not layer.rgb)
        if other:
            self._show_ct(not layer.rgb and is_like_hounsfield(*layer.contrast_limits_range))

    def _choose_window(self, window: Any) -> None:
        box = self.window_values
        box.setCurrentIndex([box.itemData(n) for n in range(box.count())].index(window))

    def _show_ct(self, ct: bool) -> None:
        """Choose a CT's window for what looks like one, and take that back for another image."""
        if ct and self.window_chosen is None:
            self._ct_window = True
            self._choose_window(self._of_modality)
        elif not ct and self._ct_window:
            self._ct_window = False
            if self.window_chosen == self._of_modality:
                self._choose_window(None)

    def set_modality(self, modality: str | None) -> None:
        """Take the window of a kind of CT where that of another one was taken by itself."""
        window = (site_window(modality) if modality else None) or SOFT_TISSUE
        former, self._of_modality = self._of_modality, window
        if self._ct_window and self.window_chosen == former:
            self._choose_window(window)

    def showEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """Offer what fits now: layers may have been moved or scaled since."""
        self.beside_list.refill()
        super().showEvent(event)

    @property
    def chosen_axes(self) -> Axes | None:
        """The axes that were typed; None where those that were read hold.

        Raises
        ------
        AxesError
            If the typed ones are none of an image of as many axes.
        """
        layer = self._layer
        if layer is None:
            return None
        typed = Axes(self.axes.text().strip().upper())
        if len(typed.order) != layer.ndim:
            raise AxesError(f"{layer.name} has {layer.ndim} axes, but {typed.order} names {len(typed.order)}.")
        return typed

    @property
    def mixed(self) -> bool:
        """Whether channels are mixed to colours."""
        return self.channels.isEnabled() and self.channels.currentData() is True

    @property
    def colour(self) -> int | None:
        """Which colour of an image in colours is taken for a grey image; None for all."""
        layer = self._layer
        return self.channels.currentData() if layer is not None and layer.rgb else None

    @property
    def beside(self) -> tuple[Image, ...]:
        """The other layers that are mixed in."""
        return self.beside_list.ticked

    @property
    def window_chosen(self) -> Any:
        """Grey values that become black and white, ``"layer"`` or None for automatic ones."""
        return self.window_values.currentData() if self.window_values.isEnabled() else None

    @property
    def diameter(self) -> float | None:
        """Diameter of the cells in pixels; None to have it measured."""
        return self.cells.value() or None

    def tell_diameter(self, diameter: float | None) -> None:
        """Say what was measured, where none is given."""
        self.cells.setSpecialValueText("measured" if diameter is None else f"about {diameter:.0f} px")

    def choices(self, scope: Scope) -> Choices:
        """Return what was chosen here, for what is parsed.

        Raises
        ------
        AxesError
            If the axes that were typed are none of the image.
        """
        return Choices(scope, self.chosen_axes, self.mixed, self.window_chosen, self.beside, self.diameter, self.colour)

    def show_picture(self, rgb: NDArray[np.uint8] | None) -> None:
        """Show what the model sees, uint8 (h, w, 3); nothing if None."""
        if rgb is None:
            self.thumbnail.clear()
            return
        height, width = rgb.shape[:2]
        image = QImage(np.ascontiguousarray(rgb).data, width, height, 3 * width, QImage.Format.Format_RGB888)
        ratio, how = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        self.thumbnail.setPixmap(QPixmap.fromImage(image.copy()).scaled(SIDE, SIDE, ratio, how))

    def _offer(self, layer: Image | None) -> None:
        """Offer what can be done with a layer's channels, or its colours; what was chosen for it before is chosen."""
        in_colours = layer is not None and layer.rgb
        chosen = self._colours.get(layer) if in_colours else self._mixing
        with QSignalBlocker(self.channels):
            self.channels.clear()
            choices = IN_COLOURS if in_colours else CHANNELS
            for name, value in choices:
                self.channels.addItem(name, value)
            self.channels.setCurrentIndex([value for _, value in choices].index(chosen))

    def _on_channels(self) -> None:
        if self._layer is not None and self._layer.rgb:
            self._colours[self._layer] = self.channels.currentData()
        else:
            self._mixing = bool(self.channels.currentData())
        self.changed.emit()

    def _on_beside(self) -> None:
        """Take the layers' contrast limits with the first that is ticked, as that is what they look like together."""
        self._form.setRowVisible(self.beside_list, self.beside_list.count() > 0)
        if self.beside and not self._own_window and self.window_chosen is None:
            self._own_window = True
            self._choose_window("layer")
        elif not self.beside and self._own_window:
            self._own_window = False
            if self.window_chosen == "layer":
                self._choose_window(None)
        self.changed.emit()

    def _edited(self) -> None:
        try:
            chosen = self.chosen_axes
            self.note.setText("")
            layer = self._layer
            if layer is not None and chosen is not None and self.axes.isModified():
                self._typed[layer] = chosen.order
            in_colours = self._layer is not None and self._layer.rgb
            self.channels.setEnabled(in_colours or (chosen is not None and chosen.place("C") is not None))
        except AxesError as error:
            self.note.setText(str(error))
        self.changed.emit()
