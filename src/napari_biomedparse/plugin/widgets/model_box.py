"""Which model runs, and on which device."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QWidget

from napari_biomedparse.plugin.widgets.naming import named
from napari_biomedparse.weights.own_models import model_choices

DEVICES = {"auto": "Auto device", "cpu": "CPU", "cuda": "GPU (CUDA)", "mps": "GPU (Apple)"}


class ModelBox(QWidget):
    """Choose a model and a device."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = named(QComboBox(), "model", "The model that is asked")
        self.device = named(QComboBox(), "device", "Where the model runs")
        for key, title in DEVICES.items():
            self.device.addItem(title, key)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for box in (self.model, self.device):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            layout.addWidget(box, 1)
        self.refill()
        for box in (self.model, self.device):
            box.currentIndexChanged.connect(lambda _index: self.changed.emit())

    def refill(self) -> None:
        """List the models that there are now."""
        chosen = self.model_name
        self.model.blockSignals(True)
        self.model.clear()
        for choice in model_choices():
            self.model.addItem(choice.title, choice.name)
        self.model.setCurrentIndex(max(0, self.model.findData(chosen)))
        self.model.blockSignals(False)

    @property
    def model_name(self) -> str:
        """Name of the chosen model."""
        return str(self.model.currentData() or "mini")

    @property
    def device_name(self) -> str:
        """The chosen device."""
        return str(self.device.currentData())

    def choose(self, model: str, device: str) -> None:
        """Choose a model and a device; what does not exist leaves the choice as it is."""
        for box, wanted in ((self.model, model), (self.device, device)):
            at = box.findData(wanted)
            if at >= 0:
                box.setCurrentIndex(at)
