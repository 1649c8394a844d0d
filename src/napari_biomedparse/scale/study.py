"""Many images, each from its first look to its finished store, on whatever does the work."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from napari_biomedparse.engine.recipe import Recipe
from napari_biomedparse.errors import BiomedParseError
from napari_biomedparse.io.durable import put_first, tidy
from napari_biomedparse.scale.image import Finished, Task, alone, steps
from napari_biomedparse.scale.job import Job

# Pixels of an image that one worker does from its beginning to its end, if there are others for the other workers:
# what there is to do besides looking would otherwise be done for all images by the one process that has the list.
SMALL = 1 << 22


class StudyError(BiomedParseError):
    """A run that cannot begin or go on; the message says why and what to do."""


class StoppedError(StudyError):
    """A run that somebody stopped; what was done is kept."""


class Done(NamedTuple):
    """A task that ended, what it returned, and what went wrong with it, if something did."""

    task: Task
    error: Exception | None
    value: Any = None


class Pool(Protocol):
    """Does tasks, several at once."""

    @property
    def workers(self) -> int:
        """How many tasks are done at once."""

    @property
    def dashboard(self) -> str | None:
        """Address of a page that shows the work, if there is one."""

    def submit(self, task: Task) -> None:
        """Begin a task, as soon as there is a worker for it."""

    def wait(self) -> Done:
        """Wait for one of the tasks that were begun."""


class Here:
    """A pool that does one task at a time, in this process; it ends when ``stopped`` says so."""

    workers = 1
    dashboard = None

    def __init__(self, stopped: Callable[[], bool] = lambda: False) -> None:
        self._stopped = stopped
        self._tasks: list[Task] = []

    def submit(self, task: Task) -> None:
        """Take a task."""
        self._tasks.append(task)

    def wait(self) -> Done:
        """Do the first of the tasks.

        Raises
        ------
        StoppedError
            If the run was stopped meanwhile.
        """
        task = self._tasks.pop(0)
        try:
            return Done(task, None, self._did(task))
        except StoppedError:
            raise
        except Exception as error:
            # Readers raise whatever their libraries do at a damaged file; the other images go on.
            return Done(task, error)

    def _did(self, task: Task) -> Any:
        if task.steps is None:
            return task.call(*task.arguments)
        for _ in task.steps(*task.arguments):
            if self._stopped():
                raise StoppedError("Stopped. What was done is kept.")
        return None


@dataclass
class Progress:
    """How far a study is.

    Attributes
    ----------
    images, finished
        In all, and those that are finished or failed.
    pixels, looked
        Pixels that the model is to be asked about, and those it was.
    """

    images: int
    finished: int = 0
    pixels: int = 0
    looked: int = 0


@dataclass
class _Running:
    """An image that is worked on."""

    steps: Generator[list[Task], None, Finished]
    job: Job
    ready: list[Task] = field(default_factory=list)
    open: int = 0
    looked: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of an image: it is finished, or there is an error."""

    job: Job
    finished: Finished | None = None
    error: Exception | None = None


def claim(folder: Path, recipe: Recipe) -> None:
    """Make a folder for a recipe's results, or find that it is one; several processes may do so at once.

    Raises
    ------
    StudyError
        If there are results of another recipe in it.
    OSError
        If it cannot be made.
    """
    note = folder / "recipe.json"
    text = recipe.as_json()
    folder.mkdir(parents=True, exist_ok=True)
    if not note.exists():
        put_first(note, text.encode(), folder)
    # Not before: others may be about to put theirs, and now that there is one, no other is needed.
    tidy(note)
    if json.loads(note.read_text(encoding="utf-8")) != json.loads(text):
        raise StudyError(
            f"{folder} has results of another question, model or version (see {note.name} there); "
            "choose another folder, or remove it."
        )


def run(jobs: Sequence[Job], pool: Pool, tell: Callable[[Progress], None] = lambda _: None) -> list[Outcome]:
    """Do all images; one that fails does not stop the others.

    Parameters
    ----------
    jobs
        The images.
    pool
        What does the work.
    tell
        Called with the progress after each task.

    Raises
    ------
    StudyError
        If the work cannot go on, as when the disk is full; what was done is kept.
    """
    events = going(jobs, pool)
    while True:
        try:
            tell(next(events))
        except StopIteration as end:
            outcomes: list[Outcome] = end.value
            return outcomes


def going(jobs: Sequence[Job], pool: Pool) -> Generator[Progress, None, list[Outcome]]:
    """Do what :func:`run` does, and yield the progress after each task; one may stop there and go on another day."""
    waiting = list(jobs)
    running: dict[int, _Running] = {}
    owners: dict[int, int] = {}
    outcomes: dict[int, Outcome] = {}
    progress = Progress(len(jobs), pixels=sum(job.pixels for job in jobs))
    begun = 0

    def advance(number: int) -> None:
        image = running[number]
        try:
            while not image.ready:
                image.ready = next(image.steps)
        except StopIteration as end:
            finish(number, Outcome(image.job, end.value))
        except Exception as error:
            # Between tasks, too, what one image raises is about that image only.
            fail(number, error)

    def fail(number: int, error: Exception) -> None:
        _check_disk(error)
        finish(number, Outcome(running[number].job, error=error))

    def finish(number: int, outcome: Outcome) -> None:
        image = running.pop(number)
        image.steps.close()
        outcomes[number] = outcome
        # What was found to be done before, or failed, is not looked at any more.
        progress.pixels += image.looked - image.job.pixels

    while waiting or running or owners:
        while waiting and len(running) <= pool.workers:
            job = waiting.pop(0)
            by_itself = 0 < job.pixels <= SMALL and len(waiting) >= pool.workers and not job.finished
            running[begun] = _Running(_by_itself(job) if by_itself else steps(job), job)
            begun += 1
            advance(begun - 1)
        for number, image in list(running.items()):
            while image.ready and len(owners) < 2 * pool.workers:
                task = image.ready.pop(0)
                image.open += 1
                owners[id(task)] = number
                pool.submit(task)
        progress.finished = len(outcomes)
        yield progress
        if not owners:
            continue
        done = pool.wait()
        number = owners.pop(id(done.task))
        progress.looked += done.task.pixels
        if number not in running:
            progress.pixels += done.task.pixels
            continue
        running[number].open -= 1
        running[number].looked += done.task.pixels
        if done.error is not None:
            fail(number, done.error)
        elif isinstance(done.value, Finished):
            finish(number, Outcome(running[number].job, done.value))
        elif not running[number].ready and not running[number].open:
            advance(number)
    for folder in {job.scratch.folder.parent for job in jobs}:
        # Others may still need it: an image that failed, or another run.
        with suppress(OSError):
            folder.rmdir()
    progress.finished = len(outcomes)
    yield progress
    return [outcomes[number] for number in sorted(outcomes)]


def _by_itself(job: Job) -> Generator[list[Task], None, Finished]:
    """Do an image in one task, which returns that it is finished."""
    yield [Task(alone, (job,), job.pixels)]
    raise RuntimeError(f"{job.path} was not finished by its only task.")


def _check_disk(error: Exception) -> None:
    cause = error if isinstance(error, OSError) else error.__cause__
    if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
        raise StudyError(
            "The disk is full. What was done so far is kept: make room, and run the same again to go on."
        ) from error
