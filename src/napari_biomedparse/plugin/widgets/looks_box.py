"""What results look like: layers, colours, who gets a pixel."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QWidget

from napari_biomedparse.plugin.settings import Settings
from napari_biomedparse.plugin.widgets.naming import named

RULES = {"most probable": "most probable", "first": "first asked", "last": "last asked"}
PALETTES = {"ontology": "of the objects", "colour-blind": "safe for colour-blind eyes"}


class LooksBox(QWidget):
    """Choose layers, colours and the rule for overlaps."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.one_layer_each = named(
            QCheckBox("One layer per object"), "one_layer_each", "From the next run on; objects may then overlap"
        )
        self.palette_kind = named(QComboBox(), "palette", "Colours of the labels")
        self.rule = named(QComboBox(), "rule", "Who gets a pixel that several objects claim")
        for box, titles in ((self.palette_kind, PALETTES), (self.rule, RULES)):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            for key, title in titles.items():
                box.addItem(title, key)
            box.currentIndexChanged.connect(lambda _index: self.changed.emit())
        self.one_layer_each.toggled.connect(lambda _on: self.changed.emit())
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Colours", self.palette_kind)
        form.addRow("Overlaps", self.rule)
        form.addRow(self.one_layer_each)

    def restore(self, settings: Settings) -> None:
        """Show what was chosen before."""
        self.one_layer_each.setChecked(settings.one_layer_each)
        self.palette_kind.setCurrentIndex(max(0, self.palette_kind.findData(settings.palette)))
        self.rule.setCurrentIndex(max(0, self.rule.findData(settings.rule)))

    def follow(self, rule: str) -> None:
        """Show the rule that the result which is shown was painted by, which changes nothing."""
        with QSignalBlocker(self):
            self.rule.setCurrentIndex(max(0, self.rule.findData(rule)))
