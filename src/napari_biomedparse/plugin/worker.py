"""What is done in the background."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.qt.threading import thread_worker

from napari_biomedparse.engine.session import Session
from napari_biomedparse.plugin.planes import Plane

if TYPE_CHECKING:
    from napari_biomedparse.engine.boxes import Box
    from napari_biomedparse.engine.predictor import Step
    from napari_biomedparse.engine.results import ObjectMask

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """Why a run gave nothing, in a sentence for the user.

    Returned, not raised: an exception that leaves a worker reaches the user as a traceback.
    """

    sentence: str


@thread_worker(start_thread=False)  # type: ignore[untyped-decorator]
def parse_plane(
    session: Session, plane: Plane, lazy: Any, prompts: list[str]
) -> Generator[Step, None, list[ObjectMask] | Failure]:
    """Read a plane and find the prompts' objects on it; yields progress, stops at the next step when told to quit."""
    try:
        return (yield from session.steps(plane.read(lazy), prompts))
    except (ValueError, OSError) as error:
        return Failure(str(error))
    except Exception as error:
        logger.exception("A run failed.")
        return Failure(f"The run failed: {type(error).__name__}: {error}. The log has the details; please report it.")


@thread_worker(start_thread=False)  # type: ignore[untyped-decorator]
def find_boxes(masks: Sequence[ObjectMask], threshold: float) -> list[list[Box]]:
    """Find the boxes of each mask's separate objects."""
    return [mask.boxes(threshold, instances=True) for mask in masks]
