"""The work on one image, in pieces that any process can do; each leaves its result on the disk before it ends."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import dask
import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.ask import Step
from napari_biomedparse.engine.instances import Typical
from napari_biomedparse.engine.kept import KeptMask, keep
from napari_biomedparse.engine.link import Shared, shared_pixels
from napari_biomedparse.engine.paint import outcomes, paint_plane
from napari_biomedparse.engine.recognition import Outcome
from napari_biomedparse.engine.selection import Place
from napari_biomedparse.engine.stack import Part
from napari_biomedparse.engine.survey import Survey, survey
from napari_biomedparse.io.label_store import LabelStore, StoreBlock
from napari_biomedparse.scale.grid import Block
from napari_biomedparse.scale.job import Job, key_of
from napari_biomedparse.scale.looking import look_at_block, look_at_plane, measure_plane, measure_tiles
from napari_biomedparse.scale.objects import sums_of
from napari_biomedparse.scale.preview import keep_preview
from napari_biomedparse.scale.scratch import Arrays
from napari_biomedparse.scale.statistics import MaskSums, typical, typical_of

# Pixels of a plane that recognition judges doubles by; more are sampled regularly.
JUDGED = 1 << 24
# Pixels on either side of a border between blocks, by which the pieces of an object are known to be one.
BAND = 2
# Pixels around a block that are parted with it: this many typical radii, within these limits.
HALO_RADII, LEAST_HALO, MOST_HALO = 8, 64, 512


def survey_plane(job: Job, place: Place) -> None:
    """Look over a plane."""
    key = key_of(place)
    if job.scratch.find("survey", key) is None:
        with dask.config.set(scheduler="synchronous"):
            found = survey(job.stack, place)
        job.scratch.put("survey", key, {"windows": np.array(found.windows, float), "overview": found.overview})


def measure(job: Job, place: Place) -> None:
    """Learn how large cells are on a plane."""
    key = key_of(place)
    if job.scratch.find("size", key) is None:
        asked = job.predictor, job.stack, place, job.sized
        with dask.config.set(scheduler="synchronous"):
            found = measure_plane(*asked) if job.whole else measure_tiles(*asked, _surveyed(job, place))
        job.scratch.put("size", key, {"diameter": np.array(math.nan if found is None else found)})


def size_on(job: Job, place: Place) -> float | None:
    """Return what :func:`measure` learned, None if there are no cells or nothing was measured."""
    found = job.scratch.find("size", key_of(place))
    return None if found is None or math.isnan(found["diameter"]) else float(found["diameter"])


def look(job: Job, place: Place, block: Block) -> None:
    """Ask the model about a block."""
    for _ in looking(job, place, block):
        pass


def looking(job: Job, place: Place, block: Block) -> Iterator[Step]:
    """Do :func:`look` one batch of tiles at a time; it can be abandoned."""
    key = key_of(place, block)
    if job.scratch.find("look", key) is not None:
        return
    predictor, asked = job.predictor, job.recipe.modality
    with dask.config.set(scheduler="synchronous"):
        if job.whole:
            seen = yield from look_at_plane(predictor, job.stack, place, job.prompts, asked, job.diameter)
        else:
            known, size = _surveyed(job, place), job.diameter or size_on(job, place)
            seen = yield from look_at_block(
                predictor, job.stack, place, job.prompts, asked, job.grid, block, known, size
            )
    arrays: Arrays = {}
    sums = []
    masks = []
    for n, mask in enumerate(seen.masks):
        kept = keep(mask)
        masks.append(kept)
        arrays[f"levels{n}"] = kept.spread(kept.levels)
        if kept.cores is not None:
            arrays[f"cores{n}"] = kept.spread(kept.cores)
        sums.append(MaskSums.of(mask, seen.rgb).row)
        if job.recipe.paint.instances and not job.whole:
            sizes, learned = typical_of(kept, job.recipe.paint.threshold_of(mask.prompt))
            arrays |= {f"radii{n}": sizes, f"learned{n}": np.array(learned)}
    if job.preview:
        keep_preview(job, place, block, masks)
    job.scratch.put("look", key, arrays | {"sums": np.array(sums)})


def judge(job: Job, place: Place) -> None:
    """Decide what becomes of each prompt on a plane, and what its objects are like."""
    key = key_of(place)
    if job.scratch.find("judge", key) is not None:
        return
    blocks = [job.scratch.get("look", key_of(place, block)) for block in job.grid.blocks]
    step = max(1, int((job.grid.shape[0] * job.grid.shape[1] / JUDGED) ** 0.5))
    masks, paint = [], job.recipe.paint
    arrays: Arrays = {}
    for n, prompt in enumerate(job.prompts):
        summed = MaskSums.total(np.stack([found["sums"][n] for found in blocks]))
        p_value = summed.presence(prompt, job.predictor.table, job.modality)
        levels = _sampled(job, blocks, f"levels{n}", step)
        height, width = levels.shape
        masks.append(
            KeptMask(prompt, (height, width), (0, 0), levels, None, summed.confidence, summed.control, p_value)
        )
        if paint.instances and not job.whole:
            known = typical([found[f"radii{n}"] for found in blocks], [bool(found[f"learned{n}"]) for found in blocks])
            arrays[f"typical{n}"] = np.array([known.radius, known.learned])
    decided = outcomes(masks, paint, job.recipe.recognizes)
    arrays["outcomes"] = np.array([decided[prompt] for prompt in job.prompts])
    job.scratch.put("judge", key, arrays)


def part(job: Job, place: Place, block: Block) -> None:
    """Make labels of a block: each object in it gets a value that holds in the block only."""
    key = key_of(place, block)
    if job.scratch.find("part", key) is not None:
        return
    judged = job.scratch.get("judge", key_of(place))
    known = {
        prompt: Typical(float(judged[f"typical{n}"][0]), bool(judged[f"typical{n}"][1]))
        for n, prompt in enumerate(job.prompts)
        if f"typical{n}" in judged
    }
    halo = _halo(max(entry.radius for entry in known.values())) if known else 0
    window = job.grid.around(block, halo)
    paint = job.recipe.paint if job.whole else replace(job.recipe.paint, min_area=0)
    masks = [_mask(job, place, n, prompt, window) for n, prompt in enumerate(job.prompts)]
    decided: dict[str, Outcome] = dict(zip(job.prompts, judged["outcomes"].tolist(), strict=True))
    inside = job.recipe.selection.inside(job.stack.shape)
    painted = paint_plane(
        masks,
        paint,
        decided,
        None if inside is None else inside[window],
        known,
    )
    values = painted.values
    rows = slice(block.rows.start - window[0].start, block.rows.stop - window[0].start)
    columns = slice(block.columns.start - window[1].start, block.columns.stop - window[1].start)
    core = values[rows, columns]
    places = {prompt: n for n, prompt in enumerate(job.prompts)}
    asked = np.full(int(values.max(initial=0)) + 1, -1, np.int32)
    for value, prompt in painted.names.items():
        if value < len(asked):
            asked[value] = places[prompt]
    arrays: Arrays = {
        "values": core,
        "areas": np.bincount(core.ravel(), minlength=len(asked)),
        "prompts": asked,
        "highest": np.array(max(painted.names, default=0)),
        "overlap": np.array(painted.overlap),
    }
    if known:
        for name, edge in {"top": rows.start, "bottom": rows.stop}.items():
            arrays[name] = values[max(0, edge - BAND) : edge + BAND, columns]
        for name, edge in {"left": columns.start, "right": columns.stop}.items():
            arrays[name] = values[rows, max(0, edge - BAND) : edge + BAND]
    job.scratch.put("part", key, arrays)


def share(job: Job, before: Place, place: Place, block: Block) -> None:
    """Count what the objects of a block have in common with those of the plane before."""
    key = key_of(place, block)
    if job.scratch.find("share", key) is None:
        planes = [_numbered(job, where, block) for where in (before, place)]
        shared = shared_pixels(*planes)
        job.scratch.put("share", key, shared._asdict())


def shared_of(job: Job, place: Place) -> Shared:
    """Return what :func:`share` counted, over all blocks of a plane."""
    found = [job.scratch.get("share", key_of(place, block)) for block in job.grid.blocks]
    before, now, pixels = (np.concatenate([part[name] for part in found]) for name in Shared._fields)
    pairs, where = np.unique(np.stack([before, now]), axis=1, return_inverse=True)
    summed = np.bincount(where.ravel(), pixels, pairs.shape[1]).astype(np.int64)
    return Shared(pairs[0], pairs[1], summed)


def write(job: Job, place: Place, target: StoreBlock) -> None:
    """Write the final labels of a block of the store, and measure the parts of objects in it."""
    key = target_key(target)
    if job.scratch.find("write", key) is not None:
        return
    store = LabelStore.open(job.store)
    values = np.zeros(target.shape, store.levels[0].dtype)
    rows, columns = job.recipe.selection.part(job.stack.shape)
    seen: Part = (
        slice(max(target.rows.start, rows.start) - rows.start, min(target.rows.stop, rows.stop) - rows.start),
        slice(
            max(target.columns.start, columns.start) - columns.start,
            min(target.columns.stop, columns.stop) - columns.start,
        ),
    )
    measured: Arrays = {}
    if seen[0].start < seen[0].stop and seen[1].start < seen[1].stop:
        numbers = job.scratch.get("number", key_of(place))
        shape = seen[0].stop - seen[0].start, seen[1].stop - seen[1].start
        labels, levels = np.zeros(shape, values.dtype), np.zeros(shape, np.uint8)
        for block, outer, inner in _pieces(job, seen):
            found = job.scratch.get("part", key_of(place, block))
            looked = job.scratch.get("look", key_of(place, block))
            local = found["values"][inner]
            labels[outer] = numbers[f"numbers{block.number}"][local]
            asked = found["prompts"][local]
            for n in range(len(job.prompts)):
                np.copyto(levels[outer], looked[f"levels{n}"][inner], where=asked == n)
        top, left = seen[0].start + rows.start, seen[1].start + columns.start
        values[top - target.rows.start :, left - target.columns.start :][: shape[0], : shape[1]] = labels
        if job.recipe.paint.instances or labels.any():
            with dask.config.set(scheduler="synchronous"):
                pixels = job.stack.values(place, seen)
            measured = sums_of(labels, levels, pixels, (top, left))
    store.write(target, values)
    job.scratch.put("write", key, measured)


def coarsen(job: Job, target: StoreBlock) -> None:
    """Make a block of a coarser level of the store."""
    key = target_key(target)
    if job.scratch.find("coarsen", key) is None:
        LabelStore.open(job.store).coarsen(target)
        job.scratch.put("coarsen", key, {})


def target_key(target: StoreBlock) -> str:
    """Return the name of a store's block's files."""
    return f"{target.level}_{key_of(target.place)}_{target.rows.start}_{target.columns.start}"


def _surveyed(job: Job, place: Place) -> Survey:
    found = job.scratch.get("survey", key_of(place))
    return Survey(tuple((low, high) for low, high in found["windows"].tolist()), found["overview"])


def _mask(job: Job, place: Place, number: int, prompt: str, window: Part) -> KeptMask:
    """Return what was found of a prompt in a window of the plane."""
    shape = window[0].stop - window[0].start, window[1].stop - window[1].start
    levels = np.zeros(shape, np.uint8)
    cores: NDArray[np.uint8] | None = None
    for block, outer, inner in _pieces(job, window):
        found = job.scratch.get("look", key_of(place, block))
        levels[outer] = found[f"levels{number}"][inner]
        if f"cores{number}" in found:
            cores = np.zeros(shape, np.uint8) if cores is None else cores
            cores[outer] = found[f"cores{number}"][inner]
    return KeptMask(prompt, shape, (0, 0), levels, cores, 0.0, None, None)


def _pieces(job: Job, window: Part) -> Iterator[tuple[Block, Part, Part]]:
    """Yield the blocks under a window of the plane, and the common part in pixels of the window and of the block."""
    for block in job.grid.under(window):
        common = tuple(
            slice(max(own.start, other.start), min(own.stop, other.stop))
            for own, other in zip(block.part, window, strict=True)
        )
        outer, inner = (
            (
                slice(common[0].start - corner[0].start, common[0].stop - corner[0].start),
                slice(common[1].start - corner[1].start, common[1].stop - corner[1].start),
            )
            for corner in (window, block.part)
        )
        yield block, outer, inner


def _sampled(job: Job, blocks: Sequence[Arrays], name: str, step: int) -> NDArray[np.uint8]:
    """Return every so manieth row and column of a plane's levels."""
    width = job.grid.width
    pieces = []
    for block, found in zip(job.grid.blocks, blocks, strict=True):
        pieces.append(found[name][-block.rows.start % step :: step, -block.columns.start % step :: step])
    rows = [np.concatenate(pieces[n : n + width], axis=1) for n in range(0, len(pieces), width)]
    return np.concatenate(rows)


def _numbered(job: Job, place: Place, block: Block) -> NDArray[np.int32]:
    """Return a block with values that hold on the whole plane."""
    values: NDArray[np.int32] = job.scratch.get("merge", key_of(place))[f"numbers{block.number}"][
        job.scratch.get("part", key_of(place, block))["values"]
    ]
    return values


def _halo(radius: float) -> int:
    """Return how far around a block objects of a typical radius are parted with it."""
    return int(np.clip(round(HALO_RADII * radius), LEAST_HALO, MOST_HALO))
