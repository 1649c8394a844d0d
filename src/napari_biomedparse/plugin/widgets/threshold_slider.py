"""A slider and a number for a share between 0 and 1."""

from __future__ import annotations

from qtpy.QtCore import QLocale, Qt, Signal
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSizePolicy, QSlider, QWidget

STEP = 0.01
# Pixels that four letters need at least.
WIDTH = 48


class ShareBox(QDoubleSpinBox):
    """A number from 0 to 1 in steps of 0.01, as narrow as it can be: arrow keys and the wheel step it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setRange(0, 1)
        self.setSingleStep(STEP)
        self.setDecimals(2)
        self.setLocale(QLocale.c())
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        # Half a number that is being typed does not count yet.
        self.setKeyboardTracking(False)
        # Under a style sheet Qt gives the number no room if the buttons are switched off, but does if they are 0 wide.
        self.setStyleSheet(
            f"QAbstractSpinBox {{ min-width: {WIDTH}px; max-width: {WIDTH}px; padding: 0px; }}"
            "QAbstractSpinBox::up-button, QAbstractSpinBox::down-button { width: 0px; border: 0px; image: none; }"
            "QAbstractSpinBox::up-arrow, QAbstractSpinBox::down-arrow { width: 0px; height: 0px; image: none; }"
            "QLineEdit { padding: 0px; }"
        )

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 (Qt's name)
        """Let the wheel scroll the dock, unless this is in use."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class _Slider(QSlider):
    """A slider over which the wheel scrolls the dock, unless the slider is in use."""

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 (Qt's name)
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class ShareSlider(QWidget):
    """Choose a share between 0 and 1 in steps of 0.01, by slider or number.

    Name and tooltip of the whole are those of both parts too.

    Attributes
    ----------
    valueChanged
        Signal with the share, when it is another one.
    """

    valueChanged = Signal(float)  # noqa: N815 (as Qt's sliders have it)

    def __init__(self, value: float = 0.5, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider = _Slider(Qt.Orientation.Horizontal)
        self._slider.setRange(0, 100)
        self._slider.setPageStep(10)
        self._slider.setMinimumWidth(60)
        self._slider.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._box = ShareBox()
        self._box.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._box)
        self.setFocusProxy(self._slider)
        self.setValue(value)
        self._slider.valueChanged.connect(self._slid)
        self._box.valueChanged.connect(self._typed)

    def value(self) -> float:
        """Return the share."""
        return round(float(self._box.value()), 2)

    def setValue(self, value: float) -> None:  # noqa: N802 (Qt's name)
        """Set the share, rounded to 0.01; what lies outside of 0 to 1 becomes the nearest of these."""
        self._box.setValue(value)
        self._slider.setValue(round(self.value() * 100))

    def setToolTip(self, tip: str) -> None:  # noqa: N802 (Qt's name)
        """Explain the parts too, which people point at."""
        super().setToolTip(tip)
        self._slider.setToolTip(tip)
        self._box.setToolTip(tip)

    def setAccessibleName(self, name: str) -> None:  # noqa: N802 (Qt's name)
        """Name the parts too, which screen readers come to."""
        super().setAccessibleName(name)
        self._slider.setAccessibleName(name)
        self._box.setAccessibleName(f"{name}, as a number")

    def _slid(self, hundredths: int) -> None:
        self._box.setValue(hundredths / 100)

    def _typed(self, value: float) -> None:
        self._slider.setValue(round(value * 100))
        self.valueChanged.emit(self.value())
