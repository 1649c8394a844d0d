"""A line for prompts, separated by commas, that completes the ontology's names."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeyEvent, QKeySequence
from qtpy.QtWidgets import QCompleter, QLineEdit, QWidget

from napari_biomedparse.ontology import all_objects


class _LastPromptCompleter(QCompleter):
    """Complete the words after the last comma."""

    def pathFromIndex(self, index: object) -> str:  # noqa: N802 (Qt's name)
        completed = str(super().pathFromIndex(index))
        before, comma, _ = str(self.widget().text()).rpartition(",")
        return f"{before}{comma} {completed}" if comma else completed

    def splitPath(self, path: str) -> list[str]:  # noqa: N802 (Qt's name)
        return [path.rpartition(",")[2].strip()]


class PromptLine(QLineEdit):
    """Ask for one object, or several separated by commas."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setPlaceholderText("nuclei, cytoplasm, …")
        self.setClearButtonEnabled(True)
        completer = _LastPromptCompleter([name for entry in all_objects() for name in entry.names], self)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.setCompleter(completer)
        # Qt itself fills in the choice only while the line has the focus, which the list may have taken.
        completer.activated[str].connect(self.setText)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 (Qt's name)
        """Leave Enter to the list of completions while one of them is chosen: choosing a word is not asking it."""
        popup = self.completer().popup()
        chosen = popup.isVisible() and popup.currentIndex().isValid()
        if chosen and event.matches(QKeySequence.StandardKey.InsertParagraphSeparator):
            event.ignore()
        else:
            super().keyPressEvent(event)

    @property
    def prompts(self) -> list[str]:
        """The prompts, without empty ones and repetitions."""
        words = (part.strip() for part in self.text().split(","))
        return list(dict.fromkeys(word for word in words if word))
