"""Ask the model about one block of a plane."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.ask import Step
from napari_biomedparse.engine.object_size import SizeSearch, zoom_for
from napari_biomedparse.engine.predictor import Predictor
from napari_biomedparse.engine.prompts import unite, words_for
from napari_biomedparse.engine.results import ObjectMask, overlap
from napari_biomedparse.engine.selection import Place
from napari_biomedparse.engine.sizing import measure, sizes
from napari_biomedparse.engine.stack import Part, Stack
from napari_biomedparse.engine.survey import Survey
from napari_biomedparse.engine.tiling import Tile
from napari_biomedparse.engine.views import EncodedImage, View, batched, zoom_of
from napari_biomedparse.scale.grid import Block, Grid, tiles_of

# Difference of grey values, of 255, up to which a tile shows nothing at all.
FLAT = 8


@dataclass(frozen=True)
class Looked:
    """The answers on a block: masks (h, w) of its pixels, and what the network saw of it, uint8 (h, w, 3)."""

    masks: list[ObjectMask]
    rgb: NDArray[np.uint8]


def look_at_plane(
    predictor: Predictor,
    stack: Stack,
    place: Place,
    prompts: Sequence[str],
    modality: str | None,
    diameter: float | None,
) -> Generator[Step, None, Looked]:
    """Ask about a whole plane, as the dock does, one batch of tiles at a time."""
    image = predictor.encode(stack.read(place), scales=(), diameter=diameter)
    return Looked((yield from predictor.steps(image, prompts, modality=modality)), image.rgb)


def measure_plane(predictor: Predictor, stack: Stack, place: Place, name: str) -> float | None:
    """Return the diameter in pixels of an object on a whole plane; None if it is not there."""
    measuring = measure(predictor.encoder, predictor.encode(stack.read(place), scales=()), name)
    while True:
        try:
            next(measuring)
        except StopIteration as end:
            found: float | None = end.value
            return found


def measure_tiles(predictor: Predictor, stack: Stack, place: Place, name: str, survey: Survey) -> float | None:
    """Do :func:`measure_plane` for a plane that is too large to be held: only those tiles are read that tell."""
    search = SizeSearch(stack.plane_shape, predictor.model.config)
    while not search.done:
        found = []
        for tile in search.sample.tiles:
            image = EncodedImage(survey.picture(stack, place, tile.slices), "pad")
            alone = (Tile(0, 0, *image.shape),)
            found.append(sizes(predictor.encoder, image, search.view, alone, name))
        search.add(np.concatenate(found))
    return search.diameter


def look_at_block(
    predictor: Predictor,
    stack: Stack,
    place: Place,
    prompts: Sequence[str],
    modality: str | None,
    grid: Grid,
    block: Block,
    survey: Survey,
    diameter: float | None,
) -> Generator[Step, None, Looked]:
    """Ask about a block as if the whole plane had been asked about, one batch of tiles at a time.

    Each of its pixels gets what all tiles of the plane that show it say, blended as on an undivided plane. Tiles that
    show nothing are passed over. What is looked for on the whole plane at once is looked for on the overview. The
    diameter is that of the plane's cells in pixels, if known.
    """
    config = predictor.model.config
    words = words_for(prompts, modality, predictor.table)
    questions = predictor.questions([word for prompt in prompts for word in words[prompt]])
    views = [
        tiles_of(
            block,
            grid.shape,
            zoom_for(diameter, config) if question.sized else zoom_of(question.scale, config),
            config,
        )
        for question in questions
    ]
    part = _shown(block, [view for view in views if view.zoom is not None])
    rgb = survey.picture(stack, place, part)
    image = EncodedImage(rgb, "pad")
    inner = (
        slice(block.rows.start - part[0].start, block.rows.stop - part[0].start),
        slice(block.columns.start - part[1].start, block.columns.stop - part[1].start),
    )
    answers: dict[str, ObjectMask] = {}
    for question, view in zip(questions, views, strict=True):
        image.views[question.view] = _local(view, part, rgb)
        if view.zoom is not None:
            found = [_cut(mask, inner) for mask in (yield from predictor.steps(image, question.prompts))]
        else:
            found = _on_overview(predictor, survey, question.prompts, grid, block)
        answers |= dict(zip(question.prompts, found, strict=True))
    return Looked([unite(prompt, words[prompt], answers) for prompt in prompts], rgb[inner])


def _shown(block: Block, views: Sequence[View]) -> Part:
    """Return the part of the plane that a block's tiles show."""
    tiles = [tile for view in views for tile in view.tiles]
    return (
        slice(
            min([block.rows.start, *(tile.top for tile in tiles)]),
            max([block.rows.stop, *(tile.top + tile.height for tile in tiles)]),
        ),
        slice(
            min([block.columns.start, *(tile.left for tile in tiles)]),
            max([block.columns.stop, *(tile.left + tile.width for tile in tiles)]),
        ),
    )


def _local(view: View, part: Part, rgb: NDArray[np.uint8]) -> View:
    """Return a view in pixels of a part of the plane, without the tiles that show nothing."""
    moved = [Tile(t.top - part[0].start, t.left - part[1].start, t.height, t.width) for t in view.tiles]
    kept = [tile for tile in moved if int(np.ptp(rgb[tile.slices], axis=(0, 1)).max()) > FLAT]
    return View(batched(kept, len(view.batches[0]) if view.batches else 1), view.zoom, view.overlap)


def _cut(mask: ObjectMask, part: Part) -> ObjectMask:
    nonsense = None if mask.nonsense is None else mask.nonsense[part]
    cores = None if mask.cores is None else mask.cores[part]
    probability = mask.probability[part]
    control = None if nonsense is None else overlap(probability > 0.5, nonsense)
    return ObjectMask(mask.prompt, probability, control, cores, nonsense)


def _on_overview(
    predictor: Predictor, survey: Survey, words: Sequence[str], grid: Grid, block: Block
) -> list[ObjectMask]:
    """Return what is found on the overview, at the pixels of a block."""
    image = EncodedImage(survey.overview, "pad")
    found = []
    for mask in predictor.segment(image, words):
        planes = [mask.probability] if mask.nonsense is None else [mask.probability, mask.nonsense.astype(np.float32)]
        large = [enlarge(plane, grid.shape, block.part) for plane in planes]
        nonsense = large[1] > 0.5 if len(large) > 1 else None
        found.append(ObjectMask(mask.prompt, large[0], mask.control, None, nonsense))
    return found


def enlarge(plane: NDArray[np.float32], shape: tuple[int, int], part: Part) -> NDArray[np.float32]:
    """Return a part of a small plane enlarged to a shape, in between its pixels by their distance."""
    for axis in (0, 1):
        span = np.arange(part[axis].start, part[axis].stop)
        known = plane.shape[axis]
        where = np.clip((span + 0.5) * known / shape[axis] - 0.5, 0, known - 1)
        below = np.minimum(where.astype(np.intp), max(known - 2, 0))
        share = (where - below).astype(np.float32)
        share = share[:, None] if axis == 0 else share
        after = np.minimum(below + 1, known - 1)
        plane = np.take(plane, below, axis) * (1 - share) + np.take(plane, after, axis) * share
    return plane
