"""What the bar says while something runs."""

import pytest
from qtpy.QtCore import QEvent, QObject

from napari_biomedparse.plugin.widgets.run_progress import RunProgress


@pytest.fixture
def clock():
    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    return Clock()


@pytest.fixture
def bar(qtbot, clock):
    widget = RunProgress(clock)
    qtbot.addWidget(widget)
    widget.resize(300, 24)
    widget.show()
    return widget


def advance(bar, clock, seconds, done, total):
    clock.now += seconds
    bar.advance(done, total)
    return bar.text()


def test_it_says_for_how_long_until_the_number_of_steps_is_known(bar, clock, qtbot):
    bar.start("Loading the model …")
    assert bar.text() == bar.toolTip() == "Loading the model …"
    clock.now += 12.3
    qtbot.waitUntil(lambda: bar.text() == "Loading the model … · 12 s")
    clock.now += 1
    bar.advance(0, 4)
    qtbot.wait(1500)
    assert bar.text() == "0/4"
    bar.start("Stopping")
    bar.rest()
    qtbot.wait(1500)
    assert bar.text() == ""


def test_nothing_moves_while_it_waits(bar, qtbot):
    """Qt would draw napari's whole window at each picture of a moving bar."""
    bar.start("Loading the model …")
    qtbot.wait(100)
    drawn = []

    class Watch(QObject):
        def eventFilter(self, _watched, event):  # noqa: N802
            if event.type() == QEvent.Type.Paint:
                drawn.append(event)
            return False

    watch = Watch()
    bar.installEventFilter(watch)
    qtbot.wait(800)
    assert len(drawn) <= 2
    bar.update()
    qtbot.waitUntil(lambda: bool(drawn))


def test_it_counts_steps_and_estimates_from_those_it_saw(bar, clock):
    bar.start("Looking for nuclei")
    # The first step contains loading, of which the others know nothing.
    assert advance(bar, clock, 50, 1, 13) == "1/13"
    assert advance(bar, clock, 2, 2, 13) == "2/13 · about 22 s left"
    assert advance(bar, clock, 6, 6, 13) == "6/13 · about 12 s left"
    assert (bar.value(), bar.maximum()) == (6, 13)
    assert advance(bar, clock, 1, 13, 13) == "13/13"


@pytest.mark.parametrize(
    ("seconds", "left"), [(0.1, "about 1 s"), (59.5, "about 60 s"), (90, "about 2 min"), (7300, "about 2 h 2 min")]
)
def test_long_times_are_said_in_long_units(bar, clock, seconds, left):
    bar.advance(0, 2)
    assert advance(bar, clock, seconds, 1, 2) == f"1/2 · {left} left"


def test_the_next_run_begins_anew(bar, clock):
    bar.start("one")
    advance(bar, clock, 1, 1, 4)
    advance(bar, clock, 100, 2, 4)
    bar.rest()
    assert (bar.text(), bar.maximum(), bar.value()) == ("", 1, -1)
    bar.start("two")
    assert advance(bar, clock, 1, 1, 4) == "1/4"
    assert advance(bar, clock, 1, 2, 4) == "2/4 · about 2 s left"
    # Fewer steps done than before: another part of the run.
    assert advance(bar, clock, 90, 0, 9) == "0/9"
    assert advance(bar, clock, 3, 1, 9) == "1/9 · about 24 s left"


def test_a_total_of_nothing_changes_nothing(bar):
    bar.start("one")
    bar.advance(0, 0)
    assert bar.text() == "one"
