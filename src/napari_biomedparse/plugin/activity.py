"""napari's own bar of what is going on, in the corner of its window."""

from __future__ import annotations

from collections.abc import Callable

from napari.resources import LOADING_GIF_PATH
from napari.utils import progress
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QLabel

# Per cent of its own speed at which napari's wheel turns meanwhile. Qt draws the whole window anew for each of its
# pictures: at full speed that took nine tenths of a core where Mesa draws, and the model four times as long.
WHEEL = 4


class Activity:
    """Show a run among napari's activities.

    napari handles all events that wait whenever it draws this bar. What it is told is therefore left until the present
    event has been dealt with: nothing else may come in between.
    """

    def __init__(self) -> None:
        self._run: object | None = None
        self._bar: progress | None = None

    def start(self, what: str) -> None:
        """Show that something of unknown length is going on."""
        self.end()
        run = self._run = object()
        self._later(lambda: self._show(run, what))

    def advance(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` steps are done."""
        self._later(lambda: self._advance(done, total))

    def end(self) -> None:
        """Show nothing any more."""
        self._run = None
        if self._bar is not None:
            bar, self._bar = self._bar, None
            bar.close()
            _turn(100)

    def _later(self, call: Callable[[], None]) -> None:
        run = self._run
        QTimer.singleShot(0, lambda: call() if run is self._run else None)

    def _show(self, run: object, what: str) -> None:
        # With a total it does not move, see RunProgress.start.
        bar = progress(total=1, desc=f"BiomedParse: {what}")
        if run is self._run:
            self._bar = bar
            _turn(WHEEL)
        else:
            # It ended while napari drew the bar.
            bar.close()

    def _advance(self, done: int, total: int) -> None:
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)


def _turn(speed: int) -> None:
    """Let napari's wheel turn at a part of its speed, in per cent."""
    for widget in QApplication.allWidgets():
        movie = widget.movie() if isinstance(widget, QLabel) else None
        if movie is not None and movie.fileName() == LOADING_GIF_PATH:
            movie.setSpeed(speed)
