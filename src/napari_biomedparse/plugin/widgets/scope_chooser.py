"""A list of what may be parsed: the plane that is shown, a part of it, or stacks of planes."""

from __future__ import annotations

from qtpy.QtWidgets import QComboBox, QWidget

from napari_biomedparse.plugin.selecting import Scope

TITLES: dict[Scope, str] = {
    "slice": "Current slice",
    "visible": "Visible region",
    "shapes": "Selected shapes",
    "z": "All z",
    "t": "All time points",
    "all": "Everything",
}


class ScopeChooser(QComboBox):
    """Choose what is parsed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        for scope, title in TITLES.items():
            self.addItem(title, scope)

    @property
    def scope(self) -> Scope:
        """What is chosen."""
        chosen: Scope = self.currentData()
        return chosen

    def choose(self, scope: str) -> None:
        """Choose a scope; one that does not exist leaves the choice as it is."""
        at = self.findData(scope)
        if at >= 0:
            self.setCurrentIndex(at)
