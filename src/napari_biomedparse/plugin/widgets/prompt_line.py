"""A line for prompts: what is typed becomes prompts, the ontology's names are completed, the last ones come back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from qtpy.QtCore import QStringListModel, Qt, Signal
from qtpy.QtGui import QKeyEvent, QKeySequence
from qtpy.QtWidgets import QCompleter, QLineEdit, QWidget

from napari_biomedparse.ontology import all_objects, find_modality, normalise, occurs_in

# What ends a prompt: pasted lines arrive with any of these separators.
SEPARATOR = re.compile("[,;\r\n\u2028\u2029]")
# How many lists of prompts are remembered.
REMEMBERED = 50


def split_prompts(text: str) -> list[str]:
    """Return the prompts in a text, separated by commas, semicolons or lines, without empty ones and repetitions."""
    return without_repetitions(SEPARATOR.split(text))


def without_repetitions(prompts: Iterable[str]) -> list[str]:
    """Return prompts with single spaces, in order; what differs only in case is a repetition."""
    words = (" ".join(prompt.split()) for prompt in prompts)
    first: dict[str, str] = {}
    for word in filter(None, words):
        first.setdefault(normalise(word), word)
    return list(first.values())


class PromptLine(QLineEdit):
    """Ask for one object, or several: the words still typed, and the prompts before them.

    The finished prompts are kept but not drawn here; :class:`.prompt_chips.PromptChips` does. For programs the line
    stands for all of them: ``text()`` joins the prompts by commas, ``setText()`` replaces them, ``clear()`` takes them
    away.

    Attributes
    ----------
    changed
        Signal: the prompts are others, or otherwise divided into finished ones and words still typed.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("prompt")
        self.setAccessibleName("What to look for")
        self.setToolTip("What to look for. A comma ends a prompt, Enter runs, Up brings back earlier prompts.")
        self.setPlaceholderText("nuclei, cytoplasm, …")
        self._finished: list[str] = []
        self._history: list[list[str]] = []
        # Place in the history, -1 for what is being written, which is kept while looking at earlier prompts.
        self._at = -1
        self._draft: list[str] = []
        self._names = QStringListModel(self)
        self._offered: list[str] = []
        self.set_modality(None)
        completer = QCompleter(self._names, self)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        self.setCompleter(completer)
        # As a window without a parent it would not be in napari's colours.
        completer.popup().setParent(self, Qt.WindowType.Popup)
        # Qt itself fills in the choice only while the line has the focus, which the list may have taken.
        completer.activated[str].connect(super().setText)
        # It fills it in after the signal, so that only then the choice can be finished.
        completer.activated[str].connect(self._finish_choice, Qt.ConnectionType.QueuedConnection)
        self.textEdited.connect(self._rank)
        self.textChanged.connect(self._take_finished)

    @property
    def prompts(self) -> list[str]:
        """The prompts, those still typed last, without empty ones and repetitions."""
        return without_repetitions([*self._finished, *split_prompts(self.pending)])

    @property
    def finished(self) -> list[str]:
        """The prompts before the words still typed."""
        return list(self._finished)

    @property
    def pending(self) -> str:
        """The words still typed."""
        return str(super().text()).strip()

    def text(self) -> str:
        """Return all prompts, joined by a comma and a space."""
        return ", ".join(self.prompts)

    def setText(self, text: str) -> None:  # noqa: N802 (Qt's name)
        """Replace all prompts by those in a text."""
        self.set_prompts(split_prompts(text))

    def clear(self) -> None:
        """Take all prompts and words away."""
        self.set_prompts([])

    def set_prompts(self, prompts: Sequence[str]) -> None:
        """Replace all prompts and the words still typed."""
        self._at = -1
        self._replace(prompts)

    def finish(self) -> None:
        """Make the words still typed a prompt."""
        self.completer().popup().hide()
        if super().text():
            self._replace(self.prompts)

    def remove(self, prompt: str) -> None:
        """Take one of the finished prompts away; the words still typed stay."""
        self._at = -1
        self._finished.remove(prompt)
        self.changed.emit()

    def replace(self, prompt: str, other: str) -> None:
        """Put other words in the place of a prompt."""
        self._at = -1
        self._replace([other if words == prompt else words for words in self.prompts])

    def set_modality(self, modality: str | None) -> None:
        """Complete only the names of objects that occur in a modality; all, if it is None or not known."""
        kind = find_modality(modality) if modality else None
        entries = [entry for entry in all_objects() if kind is None or occurs_in(entry, kind)]
        self._offered = [name for entry in entries for name in entry.names]
        self._names.setStringList(self._offered)

    @property
    def history(self) -> list[list[str]]:
        """Lists of prompts that were asked, the newest first, 50 at most and each once."""
        return [list(prompts) for prompts in self._history]

    @history.setter
    def history(self, lists: Sequence[Sequence[str]]) -> None:
        known: dict[tuple[str, ...], list[str]] = {}
        for prompts in map(without_repetitions, lists):
            if prompts:
                known.setdefault(tuple(map(normalise, prompts)), prompts)
        self._history = list(known.values())[:REMEMBERED]
        self._at = -1

    def remember(self) -> None:
        """Put the present prompts at the head of the history."""
        self.history = [self.prompts, *self._history]

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 (Qt's name)
        """End prompts, take back the last one, walk through the history.

        Enter is left to the list of completions while one of them is chosen: choosing a word is not asking it.
        """
        popup = self.completer().popup()
        key, plain = event.key(), not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if event.matches(QKeySequence.StandardKey.InsertParagraphSeparator):
            if popup.isVisible() and popup.currentIndex().isValid():
                event.ignore()
                return
            self.finish()
        elif plain and key == Qt.Key.Key_Backspace and not super().text() and self._finished:
            self._take_back()
            return
        elif plain and key in (Qt.Key.Key_Up, Qt.Key.Key_Down) and not popup.isVisible():
            self._walk(1 if key == Qt.Key.Key_Up else -1)
            return
        super().keyPressEvent(event)

    def _replace(self, prompts: Iterable[str], pending: str = "") -> None:
        self._finished = without_repetitions(prompts)
        self._write(pending)
        self.changed.emit()

    def _write(self, pending: str) -> None:
        was_blocked = self.blockSignals(True)
        super().setText(pending)
        self.blockSignals(was_blocked)

    def _take_finished(self, typed: str) -> None:
        """Turn all words before the last separator into prompts."""
        *ended, pending = SEPARATOR.split(typed)
        if ended:
            self._replace([*self._finished, *ended], pending.lstrip())
        else:
            if typed[:1].isspace():
                self._write(typed.lstrip())
            self.changed.emit()

    def _finish_choice(self, choice: str) -> None:
        if super().text() == choice:
            self.finish()

    def _take_back(self) -> None:
        self._at = -1
        *rest, last = self._finished
        self._replace(rest, last)

    def _walk(self, steps: int) -> None:
        """Show the next other prompts in the history: 1 is earlier, -1 later."""
        at = self._at + steps
        while 0 <= at < len(self._history) and self._history[at] == self.prompts:
            at += steps
        if not -1 <= at < len(self._history):
            return
        if self._at == -1:
            self._draft = self.prompts
        self._at = at
        self._replace(self._draft if at == -1 else self._history[at])

    def _rank(self, typed: str) -> None:
        """Offer names that begin with the words typed first, then those with a word that does."""
        self._at = -1
        words = typed.strip().lower()

        def rank(name: str) -> int:
            name = name.lower()
            return 0 if name.startswith(words) else 1 if f" {words}" in name else 2

        self._names.setStringList(sorted(self._offered, key=rank))
