"""Prompts as chips, with a line for further ones and a hint for words that the model does not know."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

from qtpy.QtCore import QEvent, QRectF, Qt, Signal
from qtpy.QtGui import QFocusEvent, QKeyEvent, QPainter, QPaintEvent, QPen, QTextDocumentFragment
from qtpy.QtWidgets import QHBoxLayout, QLabel, QMenu, QToolButton, QVBoxLayout, QWidget
from superqt.utils import QFlowLayout

from napari_biomedparse.ontology import Resolution, resolve
from napari_biomedparse.ontology.phrases import templates
from napari_biomedparse.plugin.widgets.prompt_line import PromptLine

# Pixels of a chip that its words may take, so that it fits into a dock of 300; its tooltip shows all of them.
WIDTH = 132
# Terms offered in place of one that is not known.
NEAREST = 3


class PromptChips(QWidget):
    """Ask for objects: a chip for each, and a line to type further ones in.

    Attributes
    ----------
    line
        The line; for programs it stands for the whole, see :class:`.prompt_line.PromptLine`.
    submitted
        Signal: Enter was pressed in the line, whose words are chips by now.
    changed
        Signal: the prompts, or the words still typed, are others.
    """

    submitted = Signal()
    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("prompts")
        self.setAccessibleName("Prompts")
        self.line = PromptLine()
        self._modality: str | None = None
        self._vocabulary: Collection[str] | None = None
        self._shown: list[tuple[str, bool]] = []
        self._unknown: list[Resolution] = []

        self._chips = QWidget()
        self._flow = QFlowLayout(self._chips)
        self._flow.setContentsMargins(0, 0, 0, 0)
        self._flow.setHorizontalSpacing(4)
        self._flow.setVerticalSpacing(4)
        self._hint = _Links()
        self._hint.setObjectName("unknown_terms")
        self._hint.setToolTip("Click a term, or reach it by Tab and press Enter, to ask for it instead")
        self._template = QToolButton()
        self._template.setObjectName("template")
        self._template.setText("…")
        self._template.setAccessibleName("Say where the last prompt is looked for")
        self._template.setToolTip("Say where the last prompt is looked for: with its modality and site, as in training")
        self._template.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._template.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        menu = QMenu(self._template)
        menu.aboutToShow.connect(self._fill_templates)
        self._template.setMenu(menu)

        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.line, 1)
        row.addWidget(self._template)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._chips)
        layout.addLayout(row)
        layout.addWidget(self._hint)
        self.setFocusProxy(self.line)
        self.line.changed.connect(self._follow)
        self.line.changed.connect(self.changed)
        self.line.returnPressed.connect(self.submitted)
        self._hint.linkActivated.connect(self._take_suggestion)
        self._refresh()

    @property
    def prompts(self) -> list[str]:
        """The prompts: chips, then the words still typed; in order, without repetitions."""
        return self.line.prompts

    def set_prompts(self, prompts: Sequence[str]) -> None:
        """Replace chips and typed words."""
        self.line.set_prompts(prompts)

    def set_modality(self, modality: str | None) -> None:
        """Complete, suggest and phrase for a modality; for all, if it is None or not known."""
        self._modality = modality
        self.line.set_modality(modality)
        self._refresh()

    def set_vocabulary(self, vocabulary: Collection[str] | None) -> None:
        """Mark what is not among the words that the model was trained with; None for a model that takes any."""
        self._vocabulary = vocabulary
        self._refresh()

    @property
    def history(self) -> list[list[str]]:
        """Lists of prompts that were asked, the newest first, 50 at most and each once."""
        return self.line.history

    @history.setter
    def history(self, lists: Sequence[Sequence[str]]) -> None:
        self.line.history = lists

    def remember(self) -> None:
        """Put the present prompts at the head of the history."""
        self.line.remember()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 (Qt's name)
        """Give links the colour of the text around them: the palette's own is unreadable under a dark style sheet."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._write_hint()

    def _follow(self) -> None:
        """Show the prompts if they are others; letters being typed change nothing here."""
        if self.line.finished != [prompt for prompt, _ in self._shown]:
            self._refresh()

    def _refresh(self) -> None:
        resolved = [resolve(prompt, self._modality, vocabulary=self._vocabulary) for prompt in self.line.finished]
        self._unknown = [found for found in resolved if found.kind == "free text"]
        shown = [(found.prompt, found.kind != "free text") for found in resolved]
        if shown != self._shown:
            self._shown = shown
            self._draw_chips()
        self._chips.setVisible(bool(shown))
        self._write_hint()

    def _draw_chips(self) -> None:
        while item := self._flow.takeAt(0):
            chip = item.widget()
            chip.hide()
            chip.deleteLater()
        before = self.line.previousInFocusChain()
        for prompt, known in self._shown:
            chip = PromptChip(prompt, known, self._chips)
            chip.removed.connect(self._remove)
            self._flow.addWidget(chip)
            chip.show()
            # Tab goes through the chips before it comes to the line.
            self.setTabOrder(before, chip.button)
            before = chip.button
        self._chips.updateGeometry()

    def _remove(self, prompt: str) -> None:
        self.line.setFocus()
        self.line.remove(prompt)

    def _write_hint(self) -> None:
        colour = self._hint.palette().color(self._hint.foregroundRole()).name()
        sentences = []
        for number, found in enumerate(self._unknown):
            links = [
                f'<a style="color: {colour}" href="{number}:{at}">{escape(name)}</a>'
                for at, name in enumerate(found.suggestions[:NEAREST])
            ]
            rest = f"; nearest: {', '.join(links)}" if links else " and is asked as it is"
            sentences.append(f"“{escape(found.prompt)}” is not a known term{rest}.")
        text = "<br>".join(sentences)
        if text != self._hint.text():
            self._hint.setText(text)
            self._hint.setAccessibleName(QTextDocumentFragment.fromHtml(text).toPlainText())
        self._hint.setVisible(bool(sentences))

    def _take_suggestion(self, link: str) -> None:
        number, at = map(int, link.split(":"))
        found = self._unknown[number]
        self.line.setFocus()
        self.line.replace(found.prompt, found.suggestions[at])

    def _fill_templates(self) -> None:
        menu = self._template.menu()
        menu.clear()
        prompts = self.prompts
        offered = templates(prompts[-1], self._modality) if prompts else []
        for phrase in offered:
            menu.addAction(phrase, lambda phrase=phrase: self.line.replace(prompts[-1], phrase))
        if not offered:
            why = "for this prompt and modality" if prompts else "before something is typed"
            menu.addAction(f"No phrasings {why}").setEnabled(False)


class PromptChip(QWidget):
    """A prompt with a button that takes it away; framed by dashes if the model does not know it.

    Parameters
    ----------
    prompt
        Its words.
    known
        Whether the model knows them.
    parent
        Parent widget.

    Attributes
    ----------
    button
        The button.
    removed
        Signal with the prompt: the button was pressed.
    """

    removed = Signal(str)

    def __init__(self, prompt: str, known: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.prompt, self.known = prompt, known
        self.setObjectName("chip")
        description = prompt if known else f"{prompt}: not a known term, so less certain"
        self.setAccessibleName(description)
        self.setToolTip(description)
        self._words = QLabel(self)
        self.button = _RemoveButton(self)
        self.button.setAccessibleName(f"Remove {prompt}")
        self.button.setToolTip(f"Remove {prompt}")
        self.button.clicked.connect(lambda: self.removed.emit(prompt))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(7, 2, 3, 2)
        layout.setSpacing(3)
        layout.addWidget(self._words)
        if not known:
            layout.addWidget(QLabel("?"))
        layout.addWidget(self.button)
        self._write()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 (Qt's name)
        """Write the words anew in another font."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._write()

    def _write(self) -> None:
        self._words.ensurePolished()
        fitting = self._words.fontMetrics().elidedText(self.prompt, Qt.TextElideMode.ElideRight, WIDTH)
        self._words.setText(fitting)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802 (Qt's name)
        """Draw the frame and a shade of the text's colour, which suits light and dark themes."""
        text = self.palette().color(self.foregroundRole())
        focused = self.button.hasFocus()
        pen = QPen(text, 2 if focused else 1)
        if not self.known:
            pen.setStyle(Qt.PenStyle.DashLine)
        elif not focused:
            text.setAlpha(90)
            pen.setColor(text)
        text.setAlpha(30)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(pen)
        painter.setBrush(text)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)


class _RemoveButton(QToolButton):
    """A cross that Enter and Delete press as the space bar does, and whose chip shows the focus."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("remove")
        self.setText("×")
        self.setAutoRaise(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setStyleSheet("QToolButton { background: transparent; border: none; padding: 0px 2px; }")

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 (Qt's name)
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.click()
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802 (Qt's name)
        super().focusInEvent(event)
        self.parentWidget().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802 (Qt's name)
        super().focusOutEvent(event)
        self.parentWidget().update()


class _Links(QLabel):
    """Sentences with links, of which Tab reaches the first at once, not only after the sentences."""

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        # A word without end must not widen the dock.
        self.setMinimumWidth(1)
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.LinksAccessibleByMouse | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
        )

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802 (Qt's name)
        super().focusInEvent(event)
        if event.reason() == Qt.FocusReason.TabFocusReason:
            self.focusNextPrevChild(True)
