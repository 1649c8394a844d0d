"""A list of the kinds of images that a model knows."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget


class ModalityChooser(QComboBox):
    """Choose what kind of image it is, or let that be guessed.

    Signals: ``chosen`` with the kind, or None.
    """

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.addItem("Auto", None)
        self.currentIndexChanged.connect(lambda _index: self.chosen.emit(self.modality))

    @property
    def modality(self) -> str | None:
        """The chosen kind, None if it is to be guessed."""
        chosen: str | None = self.currentData()
        return chosen

    def offer(self, known: Iterable[str]) -> None:
        """List the kinds of images that a model knows; the choice stays if it knows that one."""
        chosen = self.modality
        self.blockSignals(True)
        while self.count() > 1:
            self.removeItem(1)
        for name in sorted(known):
            self.addItem(name, name)
        self.setCurrentIndex(max(0, self.findData(chosen)))
        self.blockSignals(False)
        if self.modality != chosen:
            self.currentIndexChanged.emit(self.currentIndex())
