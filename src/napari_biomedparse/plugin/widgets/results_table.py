"""A table of what was found: one row per prompt, to be seen, hidden, thresholded and judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QEvent, QModelIndex, QSize, QSortFilterProxyModel, Qt, Signal
from qtpy.QtGui import QFocusEvent, QFontMetrics, QKeyEvent, QPainter, QPaintEvent, QResizeEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from napari_biomedparse.plugin.rows import ResultRow, Review
from napari_biomedparse.plugin.widgets.results_model import HEADINGS, Column, ResultsModel
from napari_biomedparse.plugin.widgets.threshold_editor import ThresholdDelegate

# Rows that are shown before the table scrolls, and at least.
ROWS = (3, 8)
# Pixels in which all columns are in sight.
WIDTH = 370
# Letters of a name's longest word that are shown at least.
NAME_LETTERS = 10
# Pixels: around a cell's text, for the arrow that shows the order, for the check box and the swatch before a name.
MARGIN = 8
ARROW = 16
BOXES = 46
REVIEWS: dict[int, Review] = {Qt.Key.Key_A: "accepted", Qt.Key.Key_R: "rejected", Qt.Key.Key_Delete: ""}
STEPS = {Qt.Key.Key_N: 1, Qt.Key.Key_P: -1}
KEYS = {*REVIEWS, *STEPS, Qt.Key.Key_Space, Qt.Key.Key_T, Qt.Key.Key_Return, Qt.Key.Key_Enter}


class ResultsTable(QTableView):
    """Show results, the most certain first, and let the user hide, threshold and judge them.

    Keys: N and P go to the next and previous row, A accepts, R rejects, Delete clears that mark, Space shows or hides,
    T edits the row's own threshold, Enter chooses the row again.

    Attributes
    ----------
    visibility_changed
        Signal with prompt and bool: a label is to be shown or hidden.
    threshold_changed
        Signal with prompt and float, or None for the threshold of all.
    reviewed
        Signal with prompt and "accepted", "rejected" or "".
    chosen
        Signal with the prompt of the row that the user went to.
    """

    visibility_changed = Signal(str, bool)
    threshold_changed = Signal(str, object)
    reviewed = Signal(str, str)
    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("results")
        self.setAccessibleName("Results, a row per prompt")
        self.setToolTip(
            "N, P: next, previous row. A: accept, R: reject, Delete: clear the mark. Space: show or hide. T: threshold."
        )
        self._rows = ResultsModel(self)
        self._sorted = QSortFilterProxyModel(self)
        self._sorted.setSourceModel(self._rows)
        self._sorted.setSortRole(ResultsModel.SORT)
        self.setModel(self._sorted)
        self.setItemDelegateForColumn(Column.THRESHOLD, ThresholdDelegate(self))
        self.setSortingEnabled(True)
        self.sortByColumn(Column.PROBABILITY, Qt.SortOrder.DescendingOrder)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        # Tab leaves the table; the arrow keys go through its cells.
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setAlternatingRowColors(False)
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setMinimumSectionSize(16)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)

        self._restoring = False
        self._rows.visibility_changed.connect(self.visibility_changed)
        self._rows.threshold_changed.connect(self.threshold_changed)
        self._rows.reviewed.connect(self.reviewed)
        self._rows.dataChanged.connect(self._fit)
        header.sortIndicatorChanged.connect(self._fit)
        self.selectionModel().currentRowChanged.connect(self._choose)

    def set_rows(self, rows: Sequence[ResultRow]) -> None:
        """Show these rows; selection, order and scroll position stay.

        Raises
        ------
        SettingError
            If two rows have the same prompt.
        """
        chosen, column = self.current_prompt, self.currentIndex().column()
        scroll = self.verticalScrollBar().value(), self.horizontalScrollBar().value()
        self._restoring = True
        self._rows.set_rows(rows)
        if chosen is not None and self.current_prompt != chosen:
            self._go_to(chosen, max(column, 0))
        self._restoring = False
        self._fit()
        self.verticalScrollBar().setValue(scroll[0])
        self.horizontalScrollBar().setValue(scroll[1])

    @property
    def current_prompt(self) -> str | None:
        """The prompt of the current row, or None if there is none."""
        index = self.currentIndex()
        return self._row(index).prompt if index.isValid() else None

    def select(self, prompt: str) -> None:
        """Go to a prompt's row, as if the user had."""
        self._go_to(prompt, max(self.currentIndex().column(), 0))

    def event(self, event: QEvent) -> bool:
        """Keep the table's keys from being taken for shortcuts of the window."""
        if event.type() == QEvent.Type.ShortcutOverride and self._is_ours(event):
            event.accept()
            return True
        return bool(super().event(event))

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802 (Qt's name)
        """Leave it to the user to go to a row: Qt makes the first one current, unmarked, and keys would change it."""
        was_there = self.currentIndex().isValid()
        self._restoring = True
        super().focusInEvent(event)
        if not was_there:
            self.selectionModel().clearCurrentIndex()
        self._restoring = False

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 (Qt's name)
        """Do what the table's keys stand for."""
        if not self._is_ours(event):
            super().keyPressEvent(event)
            return
        index, key = self.currentIndex(), event.key()
        if key in STEPS:
            self._step(STEPS[key])
        elif not index.isValid():
            return
        elif key in REVIEWS:
            self._set(index, Column.REVIEW, REVIEWS[key])
        elif key == Qt.Key.Key_Space:
            shown = Qt.CheckState.Unchecked if self._row(index).visible else Qt.CheckState.Checked
            self._set(index, Column.NAME, shown, Qt.ItemDataRole.CheckStateRole)
        elif key == Qt.Key.Key_T:
            self.setCurrentIndex(index.siblingAtColumn(Column.THRESHOLD))
            self.edit(self.currentIndex())
        else:
            self.chosen.emit(self._row(index).prompt)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's name)
        """Share the width out anew."""
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 (Qt's name)
        """Draw swatches anew in the colours of another theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange, QEvent.Type.FontChange):
            self._fit()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's name)
        """Say what will appear here while there is nothing."""
        super().paintEvent(event)
        if not self._rows.rowCount():
            painter = QPainter(self.viewport())
            painter.setPen(self.palette().color(self.foregroundRole()))
            centred = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.viewport().rect(), centred, "What is found appears here")

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for as much height as the rows need, within limits."""
        least, most = ROWS
        return QSize(WIDTH, self._height(min(max(self._rows.rowCount(), least), most)))

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Let the heading and two rows be seen."""
        return QSize(super().minimumSizeHint().width(), self._height(2))

    def _height(self, rows: int) -> int:
        """Return the height of the table with some rows, in pixels."""
        bar = self.horizontalScrollBar()
        around = self.horizontalHeader().sizeHint().height() + 2 * self.frameWidth()
        scrolling = bar.sizeHint().height() if bar.isVisible() else 0
        return int(rows * self.verticalHeader().defaultSectionSize() + around + scrolling)

    @staticmethod
    def _is_ours(event: Any) -> bool:
        return event.key() in KEYS and not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier

    def _row(self, index: QModelIndex) -> ResultRow:
        return self._rows.row(self._sorted.mapToSource(index).row())

    def _set(
        self, index: QModelIndex, column: Column, value: Any, role: Qt.ItemDataRole = Qt.ItemDataRole.EditRole
    ) -> None:
        self._sorted.setData(index.siblingAtColumn(column), value, role)

    def _step(self, rows: int) -> None:
        here = self.currentIndex()
        count = self._sorted.rowCount()
        to = here.row() + rows if here.isValid() else 0
        if 0 <= to < count:
            self.setCurrentIndex(self._sorted.index(to, max(here.column(), 0)))

    def _go_to(self, prompt: str, column: int) -> None:
        for number in range(self._rows.rowCount()):
            if self._rows.row(number).prompt == prompt:
                self.setCurrentIndex(self._sorted.mapFromSource(self._rows.index(number, column)))

    def _choose(self, current: QModelIndex, _previous: QModelIndex) -> None:
        if current.isValid() and not self._restoring:
            self.chosen.emit(self._row(current).prompt)

    def _fit(self, *_changed: Any) -> None:
        """Give columns the width of their texts, and the name the rest; where that is little, break texts in two."""
        font, width = QFontMetrics(self.font()), self.viewport().width()
        words = map(font.horizontalAdvance, self._rows.texts(Column.NAME, broken=True))
        least = BOXES + MARGIN + min(max(words, default=0), NAME_LETTERS * font.averageCharWidth())
        whole = self._widths(font, broken=False)
        breaks = least + sum(whole.values()) > width
        widths = self._widths(font, broken=True) if breaks else whole
        widths[Column.NAME] = max(least, width - sum(widths.values()))
        for column, pixels in widths.items():
            self.horizontalHeader().resizeSection(column, pixels)
        self.verticalHeader().setDefaultSectionSize((2 if breaks else 1) * font.lineSpacing() + MARGIN)
        self.updateGeometry()

    def _widths(self, font: QFontMetrics, broken: bool) -> dict[Column, int]:
        """Return the widths in pixels that all columns but the name need, for whole texts or for broken ones."""
        widths: dict[Column, int] = {}
        for column in Column:
            if column != Column.NAME:
                texts = self._rows.texts(column, broken)
                arrow = ARROW if column == self.horizontalHeader().sortIndicatorSection() else 0
                heading = font.horizontalAdvance(HEADINGS[column][0]) + arrow
                widths[column] = MARGIN + max([heading, *map(font.horizontalAdvance, texts)])
        return widths
