"""How separate objects are told apart."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QSpinBox, QVBoxLayout, QWidget

from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.plugin.settings import Settings
from napari_biomedparse.plugin.widgets.naming import named

SPLITS = {
    "learned": "by learned cores",
    "distance": "by distance to the border",
    "apart": "only where they do not touch",
}


class ObjectsBox(QWidget):
    """Number separate objects, and say which count."""

    changed = Signal(dict)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.instances = named(QCheckBox("Separate objects"), "instances", "Number every separate object")
        self.split = named(QComboBox(), "split", "How touching objects are told apart")
        self.split.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        for key, title in SPLITS.items():
            self.split.addItem(title, key)
        self.min_area = named(QSpinBox(), "min_area", "Pixels below which a separate object is left out")
        self.min_area.setRange(0, 1_000_000)
        self.min_area.setValue(20)
        self.fill_holes = named(QCheckBox("Fill holes"), "fill_holes", "Fill holes in separate objects")
        self.fill_holes.setChecked(True)
        self.link = named(QCheckBox("Link over z and t"), "link", "Let an object keep its number from plane to plane")
        self.link.setChecked(True)
        self._details = QWidget()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.instances)
        column.addWidget(self._details)
        form = QFormLayout(self._details)
        form.setContentsMargins(16, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Split", self.split)
        form.addRow("Min pixels", self.min_area)
        form.addRow(self.fill_holes)
        form.addRow(self.link)
        self.instances.toggled.connect(self._tell)
        self.split.currentIndexChanged.connect(self._tell)
        self.min_area.valueChanged.connect(self._tell)
        self.fill_holes.toggled.connect(self._tell)
        self.instances.toggled.connect(self._details.setVisible)
        self._details.setVisible(False)

    @property
    def values(self) -> dict[str, Any]:
        """The settings, by their names in :class:`~napari_biomedparse.engine.paint.Paint`."""
        return {
            "instances": self.instances.isChecked(),
            "split": self.split.currentData(),
            "min_area": self.min_area.value(),
            "fill_holes": self.fill_holes.isChecked(),
        }

    def restore(self, chosen: Settings | Paint, link: bool) -> None:
        """Show what was chosen before."""
        self.instances.setChecked(chosen.instances)
        self.split.setCurrentIndex(max(0, self.split.findData(chosen.split)))
        self.min_area.setValue(chosen.min_area)
        self.fill_holes.setChecked(chosen.fill_holes)
        self.link.setChecked(link)

    def follow(self, paint: Paint, link: bool) -> None:
        """Show how the result that is shown was painted, which changes nothing."""
        with QSignalBlocker(self), QSignalBlocker(self.link):
            self.restore(paint, link)

    def _tell(self, _value: Any = None) -> None:
        self.changed.emit(self.values)
