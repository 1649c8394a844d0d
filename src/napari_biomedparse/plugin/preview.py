"""What the model sees of the plane in view, kept up to date while anybody looks at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer

from napari_biomedparse.errors import BiomedParseError
from napari_biomedparse.plugin.worker import Failure, Job, StartWork, Work

if TYPE_CHECKING:
    from napari.components import ViewerModel

# Milliseconds of rest after which a plane is read: a slider that is dragged passes many.
RESTED = 100


class Preview:
    """Read the plane in view in the background, once sliders and settings have come to rest.

    Parameters
    ----------
    viewer
        Its sliders are followed.
    wanted
        Returns what yields the picture, uint8 (h, w, 3), or None if nobody is looking; raises a ValueError if there is
        nothing to see.
    show
        Is given each picture; None where there is none.
    start
        How work is done in the background.
    parent
        Its timer goes away with it.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        wanted: Callable[[], Work | None],
        show: Callable[[NDArray[np.uint8] | None], None],
        start: StartWork,
        parent: QObject,
    ) -> None:
        self._viewer, self._wanted, self._show, self._start = viewer, wanted, show, start
        self._job: Job | None = None
        self._timer = QTimer(parent, singleShot=True, interval=RESTED)
        self._timer.timeout.connect(self._look)
        viewer.dims.events.current_step.connect(self.refresh)
        # A window that is closed deletes the dock without taking it out first.
        parent.destroyed.connect(lambda _gone=None: self._stop())

    def refresh(self, _event: Any = None) -> None:
        """Look again soon; what is being read is no longer wanted."""
        self._stop()
        self._timer.start()

    def leave(self) -> None:
        """Stop reading and listening; for when the dock goes away before the viewer."""
        self._stop()
        self._timer.stop()
        self._viewer.dims.events.current_step.disconnect(self.refresh)

    def _stop(self) -> None:
        if self._job is not None:
            self._job.quit()
            self._job = None

    def _look(self) -> None:
        try:
            work = self._wanted()
        except BiomedParseError:
            self._show(None)
            return
        if work is not None:
            self._job = self._start(work, self._show, self._on_ended)

    def _on_ended(self, failure: Failure | None) -> None:
        self._job = None
        if failure is not None:
            self._show(None)
