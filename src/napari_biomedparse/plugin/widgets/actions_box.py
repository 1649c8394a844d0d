"""Buttons for what is done with a result."""

from __future__ import annotations

from qtpy.QtWidgets import QGridLayout, QPushButton, QWidget

from napari_biomedparse.plugin.widgets.naming import named


class ActionsBox(QWidget):
    """Measure, export, undo, copy, run again."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.measure = named(
            QPushButton("Measure"), "measure", "Shapes and intensities of all objects, as a table in the viewer"
        )
        self.export = named(QPushButton("Export …"), "export", "Save labels or tables in a file")
        self.undo = named(QPushButton("Undo run"), "undo", "Take the latest result away")
        self.script = named(
            QPushButton("Copy as Python"), "copy_script", "Copy a script that makes the same labels, bit for bit"
        )
        self.command = named(
            QPushButton("Copy as command"), "copy_command", "Copy a command that makes the same labels"
        )
        self.again = named(
            QPushButton("Run again"), "run_again", "Run what made the selected labels layer on the chosen image"
        )
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        buttons = (self.measure, self.export, self.undo, self.again, self.script, self.command)
        for n, button in enumerate(buttons):
            grid.addWidget(button, n // 2, n % 2)

    def enable(self, there_is_a_result: bool, running: bool, can_start: bool) -> None:
        """Allow what can be done now."""
        for button in (self.measure, self.export, self.script, self.command):
            button.setEnabled(there_is_a_result and not running)
        self.undo.setEnabled(there_is_a_result)
        self.again.setEnabled(can_start)
