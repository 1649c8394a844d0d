"""napari's own bar of what is going on, in the corner of its window."""

from __future__ import annotations

from collections.abc import Callable

from napari.utils import progress
from qtpy.QtCore import QTimer


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

    def _later(self, call: Callable[[], None]) -> None:
        run = self._run
        QTimer.singleShot(0, lambda: call() if run is self._run else None)

    def _show(self, run: object, what: str) -> None:
        bar = progress(total=0, desc=f"BiomedParse: {what}")
        if run is self._run:
            self._bar = bar
        else:
            # It ended while napari drew the bar.
            bar.close()

    def _advance(self, done: int, total: int) -> None:
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)
