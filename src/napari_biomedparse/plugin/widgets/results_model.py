"""The rows of results as a table that Qt can show, sort and edit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import IntEnum
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QPointF, QRectF, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPixmap, QPolygonF

from napari_biomedparse.errors import SettingError
from napari_biomedparse.plugin.rows import ResultRow

# Side of a swatch in pixels.
SWATCH = 12
NOWHERE = QModelIndex()
Role = Qt.ItemDataRole


class Column(IntEnum):
    """The columns, from the left: what a narrow dock cuts off comes last."""

    NAME = 0
    REVIEW = 1
    STATE = 2
    PROBABILITY = 3
    SIZE = 4
    COUNT = 5
    THRESHOLD = 6


# What stands above a column, and what that means.
HEADINGS = {
    Column.NAME: ("Object", "Object; the check box shows or hides its label"),
    Column.REVIEW: ("✓", "Your judgement: accepted ✓ (A) or rejected ✗ (R)"),
    Column.STATE: ("State", "Whether the object is there, and how sure that is"),
    Column.PROBABILITY: ("Pr", "Mean probability of its pixels"),
    Column.SIZE: ("Size", "Area or volume"),
    Column.COUNT: ("n", "Number of separate objects"),
    Column.THRESHOLD: ("Thr.", "Its own threshold (T or double-click); empty: the threshold of all"),
}
MARKS = {"": "", "accepted": "✓", "rejected": "✗"}
CERTAINTY = {"not found": 0.0, "doubtful": 1.0, "found": 2.0}
JUDGED = {"": 0, "rejected": 1, "accepted": 2}
NUMBERS = (Column.PROBABILITY, Column.SIZE, Column.COUNT, Column.THRESHOLD)


class ResultsModel(QAbstractTableModel):
    """Rows of results, of which visibility, threshold and review can be changed.

    Attributes
    ----------
    visibility_changed, threshold_changed, reviewed
        Signals with the prompt and the new value, for changes by the user only.
    """

    SORT = int(Role.UserRole)

    visibility_changed = Signal(str, bool)
    threshold_changed = Signal(str, object)
    reviewed = Signal(str, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[ResultRow] = []

    def row(self, number: int) -> ResultRow:
        """Return a row, in the order in which they were set."""
        return self._rows[number]

    def set_rows(self, rows: Sequence[ResultRow]) -> None:
        """Replace all rows; those of the same prompts in the same order are changed in place.

        Raises
        ------
        SettingError
            If two rows have the same prompt.
        """
        prompts = [row.prompt for row in rows]
        if len(set(prompts)) < len(prompts):
            raise SettingError(f"Every prompt has one row, but the prompts are {', '.join(prompts)}.")
        if prompts == [row.prompt for row in self._rows]:
            for number, row in enumerate(rows):
                self._change(number, row)
        else:
            self.beginResetModel()
            self._rows = list(rows)
            self.endResetModel()

    def rowCount(self, parent: QModelIndex = NOWHERE) -> int:  # noqa: N802 (Qt's name)
        """Return the number of rows."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = NOWHERE) -> int:  # noqa: N802 (Qt's name)
        """Return the number of columns."""
        return 0 if parent.isValid() else len(Column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Role.DisplayRole) -> Any:  # noqa: N802
        """Return a column's heading or what it means."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        column = Column(section)
        heading, meaning = HEADINGS[column]
        return {Role.DisplayRole: heading, Role.ToolTipRole: meaning, Role.AccessibleTextRole: meaning}.get(role)

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Return what can be done with a cell."""
        flags = super().flags(index)
        if index.column() == Column.NAME:
            return flags | Qt.ItemFlag.ItemIsUserCheckable
        return flags | Qt.ItemFlag.ItemIsEditable if index.column() == Column.THRESHOLD else flags

    def texts(self, column: Column, broken: bool) -> list[str]:
        """Return the texts of a column, whole or in the pieces that a line break may make of them."""
        texts = [_text(row, column) for row in self._rows]
        if broken and column == Column.STATE:
            # "Not found" stays together.
            return [part for row in self._rows for part in (row.state, row.state_text.removeprefix(row.state))]
        return [part for text in texts for part in text.split(" ")] if broken else texts

    def data(self, index: QModelIndex, role: int = Role.DisplayRole) -> Any:
        """Return what a cell shows, says or is sorted by."""
        if not index.isValid():
            return None
        row, column = self._rows[index.row()], Column(index.column())
        if role == Role.DisplayRole:
            return _text(row, column)
        if role == self.SORT:
            return _order(row, column)
        if role == Role.TextAlignmentRole:
            return _alignment(column)
        if role == Role.ToolTipRole:
            return HEADINGS[column][1] if column == Column.THRESHOLD else row.reason or row.sentence()
        if role == Role.AccessibleTextRole:
            said = row.review if column == Column.REVIEW else _text(row, column)
            return row.sentence() if column == Column.NAME else f"{HEADINGS[column][1]}: {said}"
        if role == Role.EditRole and column == Column.THRESHOLD:
            return row.threshold
        if column == Column.NAME and role == Role.DecorationRole:
            return _swatch(row)
        if column == Column.NAME and role == Role.CheckStateRole:
            return Qt.CheckState.Checked if row.visible else Qt.CheckState.Unchecked
        return None

    def setData(self, index: QModelIndex, value: Any, role: int = Role.EditRole) -> bool:  # noqa: N802 (Qt's name)
        """Change visibility, threshold or review as the user wishes."""
        number, column = index.row(), Column(index.column())
        row = self._rows[number]
        if column == Column.NAME and role == Role.CheckStateRole:
            shown = Qt.CheckState(value) == Qt.CheckState.Checked
            if self._change(number, replace(row, visible=shown)):
                self.visibility_changed.emit(row.prompt, shown)
        elif column == Column.THRESHOLD and role == Role.EditRole:
            if self._change(number, replace(row, threshold=value)):
                self.threshold_changed.emit(row.prompt, value)
        elif column == Column.REVIEW and role == Role.EditRole:
            if self._change(number, replace(row, review=value)):
                self.reviewed.emit(row.prompt, value)
        else:
            return False
        return True

    def _change(self, number: int, row: ResultRow) -> bool:
        """Put a row in the place of another and return whether it differs."""
        differs = row != self._rows[number]
        if differs:
            self._rows[number] = row
            self.dataChanged.emit(self.index(number, 0), self.index(number, len(Column) - 1))
        return differs


def _text(row: ResultRow, column: Column) -> str:
    texts = {
        Column.NAME: row.name,
        Column.STATE: row.state_text,
        Column.PROBABILITY: f"{row.probability:.2f}",
        Column.SIZE: row.size_text,
        Column.COUNT: "" if row.count is None else str(row.count),
        Column.THRESHOLD: "" if row.threshold is None else f"{row.threshold:.2f}",
        Column.REVIEW: MARKS[row.review],
    }
    return texts[column]


def _order(row: ResultRow, column: Column) -> float | str:
    """Return what a column is sorted by; what is not known comes before all numbers."""
    orders: dict[Column, float | str] = {
        Column.NAME: row.name.lower(),
        Column.STATE: CERTAINTY[row.state] + 0.9 * (row.presence or 0.0),
        Column.PROBABILITY: row.probability,
        Column.SIZE: row.size,
        Column.COUNT: -1 if row.count is None else row.count,
        Column.THRESHOLD: -1.0 if row.threshold is None else row.threshold,
        Column.REVIEW: JUDGED[row.review],
    }
    return orders[column]


def _alignment(column: Column) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column in NUMBERS else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


def _swatch(row: ResultRow) -> QPixmap:
    """Draw the label's colour: whole if the object was found, half if that is doubtful, as a frame if it was not."""
    pixmap = QPixmap(SWATCH, SWATCH)
    pixmap.fill(Qt.GlobalColor.transparent)
    colour = QColor.fromRgbF(*row.colour)
    colour.setAlphaF(1)
    painter = QPainter(pixmap)
    painter.setPen(colour)
    if row.state == "found":
        painter.setBrush(colour)
    frame = QRectF(0.5, 0.5, SWATCH - 1, SWATCH - 1)
    painter.drawRect(frame)
    if row.state == "doubtful":
        painter.setBrush(colour)
        painter.drawPolygon(QPolygonF([frame.topLeft(), frame.bottomLeft(), QPointF(frame.right(), frame.bottom())]))
    painter.end()
    return pixmap
