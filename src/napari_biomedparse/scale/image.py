"""One image from its first look to its finished store: which tasks, in which order."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from napari_biomedparse.engine.link import adjoin
from napari_biomedparse.engine.object_size import common, telling
from napari_biomedparse.engine.selection import Place
from napari_biomedparse.files.replacing import clear_beside
from napari_biomedparse.io.durable import put, tidy
from napari_biomedparse.io.label_store import MOST_NAMED, LabelStore, StoreBlock, is_store
from napari_biomedparse.io.result import ExportError
from napari_biomedparse.ontology.palette import by_label, palette
from napari_biomedparse.scale import tasks
from napari_biomedparse.scale.job import Job, key_of
from napari_biomedparse.scale.numbering import Numbering, merge
from napari_biomedparse.scale.objects import as_parquet, measured, no_sums, united
from napari_biomedparse.scale.prepare import prepare, prepared
from napari_biomedparse.scale.scratch import Arrays


class Task(NamedTuple):
    """A call that any process may do.

    Attributes
    ----------
    call, arguments
        The call.
    pixels
        How many pixels it asks the model about.
    steps
        The same as a generator that can be abandoned, where the call takes long.
    """

    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    pixels: int = 0
    steps: Callable[..., Iterator[Any]] | None = None


@dataclass(frozen=True)
class Finished:
    """An image that is done.

    Attributes
    ----------
    job
        What was done.
    objects
        Prompt -> how many objects there are; of prompts that were not parted, on how many planes it was found.
    already
        Whether it was so from the beginning.
    outdated
        Whether the image was changed after it was done.
    """

    job: Job
    objects: dict[str, int]
    already: bool = False
    outdated: bool = False


def steps(job: Job) -> Generator[list[Task], None, Finished]:
    """Do one image: yields tasks that may be done in any order and at once, and goes on when all of them are done.

    What an earlier, interrupted run has left on the disk is not done again.
    """
    if job.finished:
        job.scratch.clear()
        return Finished(job, {}, already=True, outdated=job.outdated)
    version = _begin(job)
    yield [Task(prepare, (job,))]
    job = prepared(job)
    store = _store(job)
    places, blocks = job.places(), job.grid.blocks
    if not job.whole:
        yield [Task(tasks.survey_plane, (job, place)) for place in places]
    if job.sized:
        job = yield from _measured(job, places)
    yield [
        Task(tasks.look, (job, place, block), block.shape[0] * block.shape[1], tasks.looking)
        for place in places
        for block in blocks
    ]
    yield [Task(tasks.judge, (job, place)) for place in places]
    yield [Task(tasks.part, (job, place, block)) for place in places for block in blocks]
    for place in places:
        _merge(job, place)
    linked = job.recipe.paint.instances and job.recipe.link and len(places) > 1
    if linked:
        pairs = [(one, other) for one, other in itertools.pairwise(places) if adjoin(one, other)]
        yield [Task(tasks.share, (job, before, place, block)) for before, place in pairs for block in blocks]
    names = _number(job, places, linked)
    yield [Task(tasks.write, (job, _place_of(job, target), target)) for target in _targets(job, store, places)]
    for level in range(1, len(store.levels)):
        yield [Task(tasks.coarsen, (job, target)) for target in store.blocks(level)]
    return _finish(job, store, places, names, version)


def _measured(job: Job, places: Sequence[Place]) -> Generator[list[Task], None, Job]:
    """Measure cells on some planes for all; where those have none, on each that is looked at in blocks."""
    if len(places) > 1:
        few = telling(places)
        yield [Task(tasks.measure, (job, place)) for place in few]
        job = replace(job, diameter=common(tasks.size_on(job, place) for place in few))
    if job.diameter is None and not job.whole:
        yield [Task(tasks.measure, (job, place)) for place in places]
    return job


def alone(job: Job) -> Finished:
    """Do one image in this process, from its beginning to its end.

    Raises
    ------
    Exception
        Whatever one of its tasks raises.
    """
    going = steps(job)
    try:
        while True:
            for task in next(going):
                task.call(*task.arguments)
    except StopIteration as end:
        finished: Finished = end.value
        return finished
    except ValueError as error:
        # A cause does not travel to another process, and that the disk is full must be known there.
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        raise


def _begin(job: Job) -> str:
    """Forget what was computed of another version of the image; return its version."""
    version = job.version
    # The file's name says it all: damaged within, it still tells that nothing has to be done anew.
    if not job.scratch.has("input", version):
        if job.store.exists() and not job.scratch.folder.exists() and not is_store(job.store):
            raise ExportError(f"{job.store} is there already and was not made here; choose another folder for results.")
        job.scratch.clear()
        shutil.rmtree(job.store, ignore_errors=True)
        job.scratch.put("input", version, {})
    return version


def _store(job: Job) -> LabelStore:
    if job.store.exists():
        return LabelStore.open(job.store)
    clear_beside(job.store)
    lengths = dict(zip(job.recipe.selection.axes, job.stack.shape, strict=True))
    axes = "".join(letter for letter in "TZYX" if letter in lengths)
    dtype = np.int32 if job.recipe.paint.instances else np.uint16
    return LabelStore.create(job.store, axes, tuple(lengths[letter] for letter in axes), dtype)


def _merge(job: Job, place: Place) -> None:
    key = key_of(place)
    if job.scratch.find("merge", key) is None:
        paint = job.recipe.paint
        parts = [job.scratch.get("part", key_of(place, block)) for block in job.grid.blocks]
        merged = merge(job.grid, parts, paint.instances, paint.min_area)
        highest = int(parts[0]["highest"]) if job.whole else len(merged["areas"]) - 1
        job.scratch.put("merge", key, {**merged, "highest": np.array(highest)})


def _number(job: Job, places: Sequence[Place], linked: bool) -> dict[int, int]:
    """Give values that hold on all planes; return the prompt's place of each value that occurs."""
    numbering = Numbering(linked)
    before: Place | None = None
    names: dict[int, int] = {}
    for place in places:
        merged = job.scratch.get("merge", key_of(place))
        if job.recipe.paint.instances:
            near = linked and before is not None and adjoin(before, place)
            shared = tasks.shared_of(job, place) if near else None
            numbers = numbering.number(merged, shared, int(merged["highest"]))
        else:
            numbers = np.arange(len(merged["areas"]))
        present = np.flatnonzero((merged["areas"] > 0) & (merged["prompts"] >= 0))
        names |= dict(zip(numbers[present].tolist(), merged["prompts"][present].tolist(), strict=True))
        final: Arrays = {
            f"numbers{block.number}": numbers[merged[f"numbers{block.number}"]] for block in job.grid.blocks
        }
        job.scratch.put("number", key_of(place), final)
        before = place
    return names


def _targets(job: Job, store: LabelStore, places: Sequence[Place]) -> Iterator[StoreBlock]:
    """Yield the blocks of the store on planes that were parsed."""
    wanted = set(places)
    return (target for target in store.blocks(0) if _place_of(job, target) in wanted)


def _place_of(job: Job, target: StoreBlock) -> Place:
    """Return the plane of the image that a block of the store lies on."""
    letters = [letter for letter in "TZ" if letter in job.recipe.selection.axes]
    at = dict(zip(letters, target.place, strict=True))
    return tuple(at[letter] for letter in job.recipe.selection.free)


def _finish(job: Job, store: LabelStore, places: Sequence[Place], names: dict[int, int], version: str) -> Finished:
    image, paint = job.image, job.recipe.paint
    solid = job.stack.has_volumes(paint.instances, job.recipe.link)
    parts = []
    planes: set[tuple[Place, int]] = set()
    for target in _targets(job, store, places):
        found = job.scratch.get("write", tasks.target_key(target))
        if found:
            at = dict(zip((letter for letter in "TZ" if letter in store.axes), target.place, strict=True))
            parts.append(_placed(found, at.get("T", 0), at.get("Z", 0), solid))
            if not paint.instances:
                planes.update((target.place, label) for label in found["label"].tolist())
    prompts = {value: job.prompts[n] for value, n in names.items()}
    spacing = job.stack.spacing(image.spacing)
    sums = united(parts)
    channels = job.stack.read_names(image.channels)
    if not sums:
        # A table without rows has its columns, too.
        sums = {name: values[:0] for name, values in _placed(no_sums(len(channels)), 0, 0, solid).items()}
    table = measured(sums, prompts, spacing, image.unit, channels, solid, "Z" in store.axes)
    tidy(job.table)
    put(job.table, as_parquet(table), job.folder)
    colours = dict(zip(job.prompts, palette(job.prompts), strict=True))
    counts = dict.fromkeys(job.prompts, 0)
    # What is not parted has one label on all planes.
    for value in prompts if paint.instances else (label for _, label in planes):
        counts[prompts[value]] += 1
    named = prompts if paint.instances else dict(enumerate(job.prompts, start=1))
    named = named if len(named) <= MOST_NAMED else {}
    about = {
        "recipe": job.recipe.as_json(),
        "model": job.recipe.model,
        "modality": job.modality,
        "image": version,
    }
    store.finish(named, by_label(named, colours, paint.instances), spacing, image.unit, job.name, colours, about)
    job.scratch.clear()
    return Finished(job, counts)


def _placed(sums: Arrays, t: int, z: int, solid: bool) -> Arrays:
    """Return sums of parts of objects on a plane as sums of objects of a series of volumes or planes."""
    count, area = len(sums["label"]), sums["area"]
    across: Arrays = {"frame": np.full(count, t), "plane": np.full(count, 0 if solid else z)}
    if solid:
        across |= {"z": area * float(z), "front": np.full(count, z), "back": np.full(count, z + 1)}
    return {**sums, **across}
