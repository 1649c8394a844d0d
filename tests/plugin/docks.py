"""Use the dock's controls as a user does."""

from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QTableView,
    QWidget,
)

RUN = 60_000
KINDS = {
    "image": QComboBox,
    "modality": QComboBox,
    "scope": QComboBox,
    "prompt": QLineEdit,
    "parse": QPushButton,
    "recognize": QPushButton,
    "cancel": QPushButton,
    "progress": QProgressBar,
    "results": QTableView,
    "threshold": QWidget,
    "presence": QWidget,
    "instances": QCheckBox,
    "measure": QPushButton,
    "export": QPushButton,
    "undo": QPushButton,
    "model": QComboBox,
    "device": QComboBox,
    "status": QLabel,
}


def find(dock, name):
    widget = dock.findChild(KINDS.get(name, QWidget), name)
    assert widget is not None, f"there is no {name}"
    return widget


def click(dock, qtbot, name):
    button = find(dock, name)
    dock.findChild(QScrollArea).ensureWidgetVisible(button)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def wait(dock, qtbot):
    qtbot.waitUntil(lambda: not dock.controller.running and not dock.actions.busy, timeout=RUN)


def parse(dock, qtbot, words="nuclei"):
    find(dock, "prompt").setText(words)
    click(dock, qtbot, "parse")
    wait(dock, qtbot)


def only(viewer):
    (layer,) = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    return layer
