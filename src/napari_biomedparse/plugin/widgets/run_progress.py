"""A bar that says how far a run is and how long it will still take."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QProgressBar, QWidget

# Milliseconds between two looks at the clock while the number of steps is not known.
TICK = 1000


class RunProgress(QProgressBar):
    """Show the steps of a run.

    Parameters
    ----------
    clock
        Returns seconds from any fixed point.
    parent
        Parent widget.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("progress")
        self.setAccessibleName("Progress of the run")
        self._clock = clock
        self._said = ""
        # What goes on since when, while the number of steps is not known.
        self._waiting: tuple[str, float] | None = None
        self._ticks = QTimer(self)
        self._ticks.setInterval(TICK)
        self._ticks.timeout.connect(self._tick)
        # When the first step was reported, and which that was: what came before it, as loading, says nothing of others.
        self._first: tuple[float, int] | None = None
        self.rest()

    def text(self) -> str:
        """Return what the bar says, which Qt's own says only once the number of steps is known."""
        return self._said

    def start(self, what: str) -> None:
        """Be busy with something of unknown length, said in a few words, and for how long already.

        Nothing moves: Qt draws all of napari's window anew for each picture of a moving bar, which took a core of the
        processor that the model needs.
        """
        self._first = None
        self._waiting = what, self._clock()
        self._ticks.start()
        self.setRange(0, 1)
        self.setValue(0)
        self._say(what)

    def advance(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` steps are done, and about how many seconds the rest takes.

        That is estimated from the steps after the first report.
        """
        if total <= 0:
            return
        now = self._clock()
        self._wait_no_more()
        if self._first is None or done < self._first[1]:
            self._first = (now, done)
        since, before = self._first
        self.setRange(0, total)
        self.setValue(done)
        left = (now - since) / (done - before) * (total - done) if done > before else 0.0
        self._say(f"{done}/{total} · {_about(left)} left" if left else f"{done}/{total}")

    def rest(self) -> None:
        """Show that nothing runs."""
        self._first = None
        self._wait_no_more()
        self.reset()
        self.setRange(0, 1)
        self._say("")

    def _tick(self) -> None:
        if self._waiting is not None:
            what, since = self._waiting
            self._say(f"{what} · {self._clock() - since:.0f} s")

    def _wait_no_more(self) -> None:
        self._waiting = None
        self._ticks.stop()

    def _say(self, said: str) -> None:
        self._said = said
        self.setToolTip(said or "Progress of the run")
        self.setAccessibleDescription(said)
        self.update()


def _about(seconds: float) -> str:
    """Return a time in the largest fitting unit, rounded up."""
    if seconds < 60:
        return f"about {math.ceil(seconds)} s"
    if seconds < 3600:
        return f"about {math.ceil(seconds / 60)} min"
    minutes = math.ceil(seconds / 60)
    return f"about {minutes // 60} h {minutes % 60} min"
