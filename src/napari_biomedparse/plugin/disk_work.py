"""A run over a layer's file, in the background: what is told of it, and how labels on the disk become a layer."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_biomedparse.engine.recipe import Recipe
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.engine.stack import Stack
from napari_biomedparse.plugin.reader import read_labels

if TYPE_CHECKING:
    from napari_biomedparse.io.opened import OpenedImage
    from napari_biomedparse.scale.job import Job
    from napari_biomedparse.scale.study import Outcome, Pool

# Side in pixels of what is compared of a layer and its file.
COMPARED = 256


@dataclass(frozen=True)
class Question:
    """What is asked of a layer's file, and where the results go.

    Parameters
    ----------
    path
        The file.
    stack
        What is selected of the layer.
    recipe
        As for a run in the window.
    device
        As for :class:`~napari_biomedparse.Predictor`.
    folder
        For the results; made if needed.
    scheduler
        Address of a Dask scheduler; this process does the work if it is empty.
    """

    path: Path
    stack: Stack
    recipe: Recipe
    device: str
    folder: Path
    scheduler: str = ""


@dataclass(frozen=True)
class Growing:
    """Labels so far, along the axes of the layer: computed again, they show more.

    Attributes
    ----------
    labels
        Lazy array (dask); n is the n-th prompt.
    step
        Pixels of the image for one of the labels, along rows and columns.
    prompts
        What is looked for.
    """

    labels: Any
    step: int
    prompts: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """How far the run is; after ``total`` the pieces are put together."""

    done: int
    total: int


@dataclass(frozen=True)
class Written:
    """The finished labels, along the axes of the layer, and what belongs to them.

    Attributes
    ----------
    levels
        Lazy arrays (dask), the finest first.
    settings
        Arguments of a labels layer, without those that say where it lies.
    objects
        Prompt -> how many were found; nothing where all was finished before.
    store
        The folder.
    outdated
        Whether the image was changed after they were made.
    """

    levels: list[Any]
    settings: dict[str, Any]
    objects: dict[str, int]
    store: Path
    outdated: bool = False


def write_labels(question: Question, stopped: Event) -> Generator[Growing | Step | Written, None, None]:
    """Answer a question on the disk; what an earlier run has left there is not done again.

    Parameters
    ----------
    question
        The question.
    stopped
        Set from outside, the run ends: here after the present tile, on a cluster without waiting for its workers.

    Raises
    ------
    ValueError, OSError
        If it cannot be answered, with a sentence that says why; what was done is kept.
    """
    from napari_biomedparse.engine.prompts import check_prompts
    from napari_biomedparse.scale.cluster import workers_of
    from napari_biomedparse.scale.inputs import with_weights
    from napari_biomedparse.scale.job import forget
    from napari_biomedparse.scale.study import Here, StoppedError, claim

    if question.recipe.prompts:
        check_prompts(question.recipe.prompts)
    job = _job(question, with_weights(question.recipe))
    claim(job.folder, job.recipe)
    try:
        with (
            workers_of(question.scheduler, stopped.is_set)
            if question.scheduler
            else nullcontext(Here(stopped.is_set)) as pool
        ):
            outcome = yield from _done(question, job, pool, stopped.is_set)
        if outcome is not None:
            yield _written(question, outcome)
    except StoppedError:
        return
    finally:
        forget()


def _job(question: Question, recipe: Recipe) -> Job:
    """Return what is to be done: of a file that holds several images, with that which the layer shows."""
    from napari_biomedparse.io.names import names_of
    from napari_biomedparse.io.opened import open_image, scenes
    from napari_biomedparse.scale.job import Job
    from napari_biomedparse.scale.study import StudyError

    found = scenes(question.path)
    several: list[str | None] = [*found] if len(found) > 1 else [None]
    for scene, name in zip(several, names_of(question.path, several), strict=True):
        image = open_image(question.path, scene)
        for selection in _of_file(question.stack, image):
            stack = Stack(image.levels, selection, str(question.path))
            if _is_same(question.stack, stack):
                asked = replace(recipe, selection=selection)
                return Job(
                    question.path.resolve(),
                    scene,
                    asked,
                    question.device,
                    question.folder,
                    name,
                    pixels=stack.pixels,
                    preview=True,
                )
    raise StudyError(
        f"{question.stack.name} is not what {question.path} holds: it was changed, or is a part or one channel of it. "
        "Save it as a file of its own, open that, and run again."
    )


def _of_file(stack: Stack, image: OpenedImage) -> Iterator[Selection]:
    """Yield a layer's selection for the image of its file, in each way that their shapes allow.

    Readers differ in the order of axes, in whether they keep those of length 1, and in what they call Z or T.
    """
    selection = stack.selection
    if selection.rgb != image.rgb or selection.level >= len(image.levels):
        return
    shape = tuple(image.levels[selection.level].shape[: len(image.axes)])
    own, other = dict(zip(selection.axes, stack.shape, strict=True)), dict(zip(image.axes, shape, strict=True))
    if all(own.get(letter, 1) == other.get(letter, 1) for letter in {*own, *other}):
        at = {letter: index for letter, index in selection.at.items() if letter in other}
        yield replace(selection, axes=image.axes, at=at)
    if shape == stack.shape:
        yield selection


def _is_same(layer: Stack, file: Stack) -> bool:
    """Return whether a layer and a file agree in the middle of the first plane."""
    part = tuple(
        slice(max(0, side // 2 - COMPARED // 2), min(side, side // 2 + COMPARED // 2)) for side in layer.plane_shape
    )
    planes = [stack.values(stack.places()[0], (part[0], part[1])) for stack in (layer, file)]
    return all(np.array_equal(one, other) for one, other in zip(*planes, strict=True))


def _done(
    question: Question, job: Job, pool: Pool, stopped: Callable[[], bool]
) -> Generator[Growing | Step, None, Outcome | None]:
    """Do a job and return what became of it, None if it was stopped."""
    from napari_biomedparse.scale.prepare import prepared
    from napari_biomedparse.scale.study import going

    events = going([job], pool)
    shown = False
    while True:
        try:
            progress = next(events)
        except StopIteration as end:
            outcome: Outcome = end.value[0]
            return outcome
        if stopped():
            events.close()
            return None
        if not shown and job.scratch.find("prepare", "plan") is not None:
            shown = True
            yield _growing(question, prepared(job))
        yield Step(round(100 * progress.looked / max(1, progress.pixels)), 100 if progress.pixels else 0)


def _growing(question: Question, job: Job) -> Growing:
    from napari_biomedparse.scale.preview import preview_of

    labels, axes, step = preview_of(job)
    return Growing(_along(labels, axes, question.stack), step, job.prompts)


def _written(question: Question, outcome: Outcome) -> Written:
    from napari_biomedparse.scale.study import StudyError

    job, error = outcome.job, outcome.error
    if error is not None:
        plain = isinstance(error, ValueError | OSError | RuntimeError)
        raise StudyError(str(error) if plain else f"{job.path} is damaged: {error!r}") from error
    ((data, settings, _),) = read_labels(str(job.store))
    levels = data if settings.pop("multiscale") else [data]
    axes = "".join(letter for letter in "TZYX" if letter in job.recipe.selection.axes)
    along = [_along(level, axes, question.stack) for level in levels]
    finished = outcome.finished
    assert finished is not None
    return Written(along, settings, finished.objects, job.store, finished.outdated)


def _along(labels: Any, axes: str, stack: Stack) -> Any:
    """Return labels with the axes of a layer: they are the same for all its channels."""
    import dask.array as da

    wanted = stack.selection.axes
    for letter in set(axes) - set(wanted):
        labels, axes = labels.take(0, axes.index(letter)), axes.replace(letter, "")
    labels = labels.transpose([axes.index(letter) for letter in wanted if letter in axes])
    labels = labels[tuple(slice(None) if letter in axes else None for letter in wanted)]
    sides = zip(wanted, labels.shape, stack.shape, strict=True)
    full = tuple(side if letter in axes else channels for letter, side, channels in sides)
    return da.broadcast_to(labels, full)  # type: ignore[no-untyped-call]
