"""What napari's own activity list says of a run, in a real window."""

import pytest
from napari._qt.widgets.qt_progress_bar import QtLabeledProgressBar
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QLabel

from napari_biomedparse.plugin.activity import WHEEL, Activity


@pytest.fixture
def bars(viewer):
    def shown():
        found = viewer.window._qt_window.findChildren(QtLabeledProgressBar)
        return [(bar.description_label.text(), bar.qt_progress_bar.value()) for bar in found if not bar.isHidden()]

    return shown


def test_a_run_is_shown_until_it_ends(bars, qtbot):
    activity = Activity()
    activity.start("nuclei")
    qtbot.waitUntil(lambda: [text for text, _ in bars()] == ["BiomedParse: nuclei: "])
    activity.advance(3, 7)
    qtbot.waitUntil(lambda: [value for _, value in bars()] == [3])
    activity.end()
    qtbot.waitUntil(lambda: bars() == [])


def test_the_wheel_turns_slowly_meanwhile(viewer, bars, qtbot):
    """At its full speed the model has a quarter of its own where Mesa draws the window."""
    (wheel,) = [label.movie() for label in viewer.window._qt_window.findChildren(QLabel) if label.movie()]
    activity = Activity()
    activity.start("nuclei")
    qtbot.waitUntil(lambda: wheel.state() == wheel.MovieState.Running)
    qtbot.waitUntil(lambda: wheel.speed() == WHEEL)
    assert [value for _, value in bars()] == [0]
    activity.end()
    assert wheel.speed() == 100


def test_nothing_comes_in_between_while_it_is_told(bars, qtbot):
    """napari's bar handles the events that wait, among them what a worker has to say next."""
    activity = Activity()
    order = []

    def first():
        QTimer.singleShot(0, lambda: order.append("second"))
        activity.start("nuclei")
        activity.advance(1, 2)
        order.append("first")

    QTimer.singleShot(0, first)
    qtbot.waitUntil(lambda: len(order) == 2)
    assert order == ["first", "second"]
    activity.end()


def test_what_ends_before_it_is_shown_leaves_no_bar(bars, qtbot):
    activity = Activity()
    QTimer.singleShot(0, activity.end)
    activity.start("nuclei")
    told = []
    QTimer.singleShot(0, lambda: told.append(True))
    qtbot.waitUntil(lambda: bool(told))
    qtbot.wait(50)
    assert bars() == []
