"""Edit one prompt's threshold inside the table; an empty one is the threshold of all."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractItemModel, QEvent, QModelIndex, QObject, Qt
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem, QWidget

from napari_biomedparse.plugin.widgets.threshold_slider import STEP, WIDTH, ShareBox

# Where stepping begins from an empty box.
USUAL = 0.5


class ThresholdBox(ShareBox):
    """A number from 0 to 1, or nothing."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        # The place below 0 stands for nothing.
        self.setMinimum(-STEP)
        self.lineEdit().setPlaceholderText("all")
        self.setAccessibleName("Its own threshold, empty for the threshold of all")
        self.setToolTip("Its own threshold, from 0 to 1; empty: the threshold of all")

    @property
    def threshold(self) -> float | None:
        """The threshold, or None for that of all."""
        return round(self.value(), 2) if self.value() >= 0 else None

    @threshold.setter
    def threshold(self, threshold: float | None) -> None:
        self.setValue(-STEP if threshold is None else threshold)

    def stepBy(self, steps: int) -> None:  # noqa: N802 (Qt's name)
        """Go up or down; from nothing, begin at the usual threshold."""
        if self.threshold is None and self.lineEdit().text() == "":
            self.threshold = USUAL
        else:
            super().stepBy(steps)

    def textFromValue(self, value: float) -> str:  # noqa: N802 (Qt's name)
        """Write nothing for nothing."""
        return "" if value < 0 else str(super().textFromValue(value))

    def valueFromText(self, text: str) -> float:  # noqa: N802 (Qt's name)
        """Read an empty text as nothing."""
        return float(super().valueFromText(text)) if text.strip() else -STEP

    def validate(self, text: str, place: int) -> Any:
        """Take an empty text; numbers below 0 cannot be typed."""
        if not text.strip():
            return QValidator.State.Acceptable, text, place
        if text.strip().startswith("-"):
            return QValidator.State.Invalid, text, place
        return super().validate(text, place)


class ThresholdDelegate(QStyledItemDelegate):
    """Edit thresholds with a :class:`ThresholdBox`; every step counts at once, Escape takes them back."""

    def createEditor(self, parent: QWidget, _option: QStyleOptionViewItem, index: QModelIndex) -> QWidget:  # noqa: N802
        """Return the box for a cell."""
        box = ThresholdBox(parent)
        box.before = index.data(Qt.ItemDataRole.EditRole)
        box.threshold = box.before
        box.valueChanged.connect(lambda _value: self.commitData.emit(box))
        return box

    def setEditorData(self, editor: ThresholdBox, index: QModelIndex) -> None:  # noqa: N802 (Qt's name)
        """Show a cell's threshold, if it is another one: what is being typed stays."""
        threshold = index.data(Qt.ItemDataRole.EditRole)
        if threshold != editor.threshold:
            editor.threshold = threshold

    def setModelData(self, editor: ThresholdBox, model: QAbstractItemModel, index: QModelIndex) -> None:  # noqa: N802
        """Take over what the box says."""
        model.setData(index, editor.threshold, Qt.ItemDataRole.EditRole)

    def updateEditorGeometry(  # noqa: N802 (Qt's name)
        self, editor: QWidget, option: QStyleOptionViewItem, _index: QModelIndex
    ) -> None:
        """Lay the box over its cell, wider than that but inside the table."""
        place = option.rect
        place.setWidth(max(place.width(), WIDTH))
        place.moveRight(min(place.right(), editor.parentWidget().width() - 1))
        editor.setGeometry(place)

    def eventFilter(self, editor: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's name)
        """Take back all steps on Escape, which then closes the box."""
        if event.type() == QEvent.Type.KeyPress and event.key() == Qt.Key.Key_Escape:
            editor.threshold = editor.before
        return bool(super().eventFilter(editor, event))
