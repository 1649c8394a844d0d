"""What is done in the background, and how it ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from napari.qt.threading import thread_worker

from napari_biomedparse.errors import BiomedParseError

if TYPE_CHECKING:
    from napari.qt.threading import GeneratorWorker

logger = logging.getLogger(__name__)

Work = Callable[[], Generator[Any, None, Any]]


@dataclass(frozen=True)
class Failure:
    """Why work gave nothing, in a sentence for the user.

    Returned, not raised: an exception that leaves a worker reaches the user as a traceback.
    """

    sentence: str


class Job(Protocol):
    """Work that is being done."""

    def quit(self) -> None:
        """Stop it at its next step, or before its first; nothing it still finds is told."""

    def let_go(self) -> None:
        """Tell nothing of what it still finds; it goes on to its end."""


class StartWork(Protocol):
    """Start work in the background."""

    def __call__(self, work: Work, seen: Callable[[Any], None], ended: Callable[[Failure | None], None]) -> Job:
        """Call ``seen`` with all that ``work`` yields and ``ended`` when it is through, both in this thread."""


class _ThreadJob:
    """A worker whose words are not passed on any more once it was told to quit.

    Qt keeps what is connected to a worker for longer than the work lasts; what listens here, and all that it knows, is
    let go with the end.
    """

    def __init__(self, work: Work, seen: Callable[[Any], None], ended: Callable[[Failure | None], None]) -> None:
        self._seen: Callable[[Any], None] | None = seen
        self._ended: Callable[[Failure | None], None] | None = ended
        self._worker: GeneratorWorker = _guarded(work)
        # Functions, which keep this job: of a method's object PySide would not, and be called when it is gone.
        self._worker.yielded.connect(lambda event: self._on_yielded(event))
        self._worker.returned.connect(lambda outcome: self._on_returned(outcome))
        self._worker.start()

    def quit(self) -> None:
        self.let_go()
        self._worker.quit()

    def let_go(self) -> None:
        self._seen = self._ended = None

    def _on_yielded(self, event: Any) -> None:
        if self._seen is not None:
            self._seen(event)

    def _on_returned(self, outcome: Failure | None) -> None:
        ended = self._ended
        self._seen = self._ended = None
        if ended is not None:
            ended(outcome)


def start_thread(work: Work, seen: Callable[[Any], None], ended: Callable[[Failure | None], None]) -> Job:
    """Start work in a thread of napari's, which asks before it closes while one is busy."""
    return _ThreadJob(work, seen, ended)


@thread_worker(start_thread=False)  # type: ignore[untyped-decorator]
def _guarded(work: Work) -> Generator[Any, None, Failure | None]:
    try:
        yield from work()
    except (BiomedParseError, OSError) as error:
        return Failure(str(error))
    except MemoryError:
        return Failure("There is not enough memory for this; choose a smaller scope, or crop the image.")
    except Exception as error:
        logger.exception("A run failed.")
        return Failure(f"The run failed: {type(error).__name__}: {error}. The log has the details; please report it.")
    return None
