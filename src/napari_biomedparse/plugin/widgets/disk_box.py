"""Where the results of a run to the disk go, and who does the work."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QFormLayout, QHBoxLayout, QLineEdit, QPushButton, QWidget

from napari_biomedparse.plugin.widgets.naming import named


class DiskBox(QWidget):
    """Choose a folder and perhaps a scheduler; ask for a run."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.folder_line = named(
            QLineEdit(),
            "disk_folder",
            "Folder for labels and table; the same folder and question go on where it stopped",
        )
        self.browse = named(QPushButton("…"), "disk_browse", "Choose the folder")
        self.browse.setMaximumWidth(32)
        self.scheduler_line = named(
            QLineEdit(),
            "scheduler",
            "Address of a Dask scheduler whose workers see the image and the folder by these paths",
        )
        self.scheduler_line.setPlaceholderText("this computer")
        self.run = named(
            QPushButton("Run to disk …"),
            "to_disk",
            "Look on all planes of the image's file, also of one larger than memory, for what is typed above, or for "
            "everything known",
        )
        row = QHBoxLayout()
        row.addWidget(self.folder_line)
        row.addWidget(self.browse)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Folder", row)
        form.addRow("Scheduler", self.scheduler_line)
        form.addRow(self.run)
        self.browse.clicked.connect(lambda: self._ask())

    def folder(self) -> Path | None:
        """Return the folder, asking for one if none is chosen yet; None if the user gives none."""
        if not self.folder_line.text().strip():
            self._ask()
        text = self.folder_line.text().strip()
        return Path(text).expanduser() if text else None

    @property
    def scheduler(self) -> str:
        """Address of a scheduler; empty for this computer."""
        return str(self.scheduler_line.text()).strip()

    def _ask(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder for the results", self.folder_line.text())
        if chosen:
            self.folder_line.setText(chosen)
