"""One run in the background."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from napari.qt.threading import thread_worker

from napari_biomedparse.engine.session import Session
from napari_biomedparse.plugin.planes import Plane

if TYPE_CHECKING:
    from napari_biomedparse.engine.predictor import Step
    from napari_biomedparse.engine.results import ObjectMask


@thread_worker(start_thread=False)  # type: ignore[untyped-decorator]
def parse_plane(
    session: Session, plane: Plane, lazy: Any, prompts: list[str]
) -> Generator[Step, None, list[ObjectMask]]:
    """Read a plane and find the prompts' objects on it; yields progress, stops at the next step when told to quit."""
    return (yield from session.steps(plane.read(lazy), prompts))
