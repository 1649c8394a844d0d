"""A share set by slider, number, key and program."""

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QDoubleSpinBox, QSlider

from napari_biomedparse.plugin.widgets.threshold_slider import ShareSlider

Key = Qt.Key


@pytest.fixture
def share(qtbot):
    widget = ShareSlider()
    qtbot.addWidget(widget)
    widget.show()
    qtbot.waitExposed(widget)
    return widget


@pytest.fixture
def values(share):
    heard = []
    share.valueChanged.connect(heard.append)
    return heard


def test_programs_set_it_once(share, values):
    share.setValue(0.95)
    share.setValue(0.95)
    assert (share.value(), share.findChild(QSlider).value(), values) == (0.95, 95, [0.95])
    share.setValue(7)
    assert share.value() == 1.0
    share.setValue(-1)
    assert share.value() == 0.0


def test_keys_move_it_in_hundredths_and_tenths(share, values, qtbot):
    slider = share.findChild(QSlider)
    for key in (Key.Key_Right, Key.Key_PageUp, Key.Key_Left, Key.Key_Home, Key.Key_End):
        qtbot.keyClick(slider, key)
    assert values == [0.51, 0.61, 0.6, 0.0, 1.0]


def test_a_number_counts_once_it_is_typed(share, values, qtbot):
    box = share.findChild(QDoubleSpinBox)
    box.selectAll()
    qtbot.keyClicks(box, "0.37")
    assert values == []
    qtbot.keyClick(box, Key.Key_Return)
    assert values == [0.37]
    assert share.findChild(QSlider).value() == 37
    qtbot.keyClick(box, Key.Key_Up)
    assert values == [0.37, 0.38]


def test_both_parts_are_named(share):
    share.setAccessibleName("Threshold")
    share.setToolTip("Probability above which a pixel is labelled")
    for part in (share.findChild(QSlider), share.findChild(QDoubleSpinBox)):
        assert part.accessibleName().startswith("Threshold")
        assert part.toolTip() == share.toolTip()
    assert share.minimumSizeHint().width() <= 200


def test_the_wheel_scrolls_the_dock_unless_the_slider_is_in_use(share, values, qtbot):
    slider = share.findChild(QSlider)

    def turn():
        middle = QPointF(slider.rect().center())
        event = QWheelEvent(
            middle,
            slider.mapToGlobal(middle),
            QPoint(0, 0),
            QPoint(0, 120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(slider, event)

    share.findChild(QDoubleSpinBox).setFocus()
    qtbot.waitUntil(lambda: not slider.hasFocus())
    turn()
    assert values == []
    share.activateWindow()
    share.setFocus()
    qtbot.waitUntil(slider.hasFocus)
    turn()
    assert share.value() > 0.5
