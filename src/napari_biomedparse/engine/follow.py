"""Do what a recipe says: look at plane after plane, then paint labels. The dock and scripts both come here."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.kept import KeptMask, keep
from napari_biomedparse.engine.link import Linker, adjoin
from napari_biomedparse.engine.object_size import common, telling
from napari_biomedparse.engine.paint import Paint, PaintedPlane, outcomes, paint_plane
from napari_biomedparse.engine.recipe import Recipe
from napari_biomedparse.engine.recognition import Outcome
from napari_biomedparse.engine.selection import Place
from napari_biomedparse.engine.stack import Stack
from napari_biomedparse.ontology import ModalityError

if TYPE_CHECKING:
    from napari_biomedparse.engine.predictor import Predictor

# Scale of objects -> how a plane was cut for them.
Tiles = Mapping[str, Mapping[str, float | None]]

# Share of the time that telling of unfinished planes may take.
TELLING = 0.1


class Progress(NamedTuple):
    """Steps done, and to do in all as far as is known."""

    done: int
    total: int


class Seen(NamedTuple):
    """What was found on a plane; or, not ``whole``, on the part of it that was looked at so far.

    ``tiles`` tells for each scale of objects how the plane was cut, see :attr:`.views.View.summary`; ``diameter`` how
    large in pixels cells were taken to be that the model is to see in one size, None if nothing depended on it.
    """

    place: Place
    modality: str | None
    masks: tuple[KeptMask, ...]
    whole: bool = True
    tiles: Tiles = MappingProxyType({})
    diameter: float | None = None


def look(
    predictor: Predictor,
    stack: Stack,
    recipe: Recipe,
    places: Sequence[Place],
    near: tuple[float, float] | None = None,
    every: float | None = None,
) -> Generator[Progress | Seen, None, None]:
    """Look for a recipe's prompts on some planes of a stack, one after another.

    Yields progress after each step of the model and what was found after each plane; can be abandoned in between.
    Cells that the model is to see in one size are taken to be as large on all planes as on a few of them.

    Parameters
    ----------
    predictor, stack, recipe
        Which model, image and question.
    places
        The planes, in the order to go.
    near
        A row and a column of the selected part, at which each plane is begun; nothing of the result depends on it.
    every
        Seconds after which the unfinished part of a plane is told too, and more where that takes long; never if None.

    Raises
    ------
    ModalityError
        If everything is looked for, but the kind of image cannot be guessed.
    ImageError
        If a plane cannot be parsed.
    """
    modality, diameter = recipe.modality, recipe.diameter
    for number, place in enumerate(places):
        image = predictor.encode(stack.read(place), scales=(), diameter=diameter)
        # A stack is of one kind: that of its first plane.
        if modality is None and (recipe.recognizes or predictor.table.classifier):
            modality = guess_kind(predictor, image, must=recipe.recognizes)
        if recipe.recognizes:
            assert modality is not None
            modality = predictor.table.modality(modality)
            prompts: Sequence[str] = predictor.table.lists[modality]
        else:
            prompts = recipe.prompts
        sized = predictor.sized(prompts, recipe.modality) if number == 0 else None
        if sized and diameter is None and len(stack.places()) > 1:
            diameter = yield from _measure(predictor, stack, sized, Progress(0, len(places)))
            image = replace(image, diameter=diameter)
        # A model that takes any words is told what was guessed, for some mean something else elsewhere.
        said = modality if predictor.table.vocabulary is None else recipe.modality
        steps = predictor.steps(image, prompts, modality=said, near=near)
        told, pause = monotonic(), every or 0.0
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                masks = end.value
                break
            yield Progress(number * step.total + step.done, len(places) * step.total)
            now = monotonic()
            if not step.done:
                # There is nothing to tell yet.
                told = now
            if every is not None and step.done < step.total and now - told > pause:
                # The receiver paints it before it comes back here.
                yield Seen(place, modality, tuple(keep(mask) for mask in step.preview()), whole=False)
                told = monotonic()
                pause = max(every, (told - now) / TELLING)
        p_values: list[float | None] = [None] * len(masks)
        if modality is not None and (found := known_modality(predictor, modality)):
            p_values = predictor.presences(image, masks, found)
        tiles: Tiles = {scale: view.summary for scale, view in image.views.items()}
        kept = tuple(keep(mask, p) for mask, p in zip(masks, p_values, strict=True))
        yield Seen(place, modality, kept, tiles=tiles, diameter=image.diameter)


def _measure(
    predictor: Predictor, stack: Stack, name: str, progress: Progress
) -> Generator[Progress, None, float | None]:
    """Measure an object on a few planes of a stack; yields the progress there is after each step."""
    # torch comes with it, which the window does not wait for.
    from napari_biomedparse.engine.sizing import measure

    found = []
    for place in telling(stack.places()):
        try:
            image = predictor.encode(stack.read(place), scales=())
        except Exception:  # each format's reader has exceptions of its own
            # It fails again when its turn comes; what is found before that is kept.
            continue
        measuring = measure(predictor.encoder, image, name)
        while True:
            try:
                next(measuring)
            except StopIteration as end:
                found.append(end.value)
                break
            yield progress
    return common(found)


def guess_kind(predictor: Predictor, image: Any, must: bool) -> str | None:
    """Return the kind of an encoded image; None where it cannot be guessed, an error where it must be."""
    try:
        return predictor.guess(image)[0]
    except ModalityError:
        if must:
            raise
        return None


def known_modality(predictor: Predictor, modality: str) -> str | None:
    """Return the table's modality that is meant, None where words are asked of an image of another kind."""
    return next((name for name in predictor.table.lists if name.lower() == modality.lower()), None)


@dataclass
class Findings:
    """What a run found so far, and labels of it.

    Parameters
    ----------
    stack
        What was looked at.
    recognized
        Whether the objects came from recognition.
    """

    stack: Stack
    recognized: bool
    planes: dict[Place, tuple[KeptMask, ...]] = field(default_factory=dict)
    modality: str | None = None
    tiles: Tiles = field(default_factory=dict)
    diameter: float | None = None
    _judged: dict[Place, tuple[object, dict[str, Outcome]]] = field(default_factory=dict, repr=False)

    def add(self, seen: Seen) -> None:
        """Take in what was found on a plane."""
        # A new table each time: whoever goes through the old one in another thread is not disturbed.
        self.planes = {**self.planes, seen.place: seen.masks}
        self._judged.pop(seen.place, None)
        self.modality, self.tiles = seen.modality, seen.tiles or self.tiles
        self.diameter = seen.diameter or self.diameter

    @property
    def prompts(self) -> list[str]:
        """What was looked for, in order."""
        return [mask.prompt for mask in next(iter(self.planes.values()), ())]

    @property
    def nbytes(self) -> int:
        """Bytes held by masks."""
        return sum(mask.nbytes for masks in self.planes.values() for mask in masks)

    def outcomes(self, place: Place, paint: Paint) -> dict[str, Outcome]:
        """Return what becomes of each prompt on a plane; judged again only when what that depends on has changed."""
        # Recognition judges at a fixed threshold (published), so a moving one leaves its verdict alone.
        key: object = paint.presence if self.recognized else (paint.presence, paint.threshold, dict(paint.thresholds))
        kept = self._judged.get(place)
        if kept is None or kept[0] != key:
            kept = key, outcomes(self.planes[place], paint, self.recognized)
            self._judged[place] = kept
        return kept[1]

    def paint(self, place: Place, paint: Paint, alone: str | None = None) -> PaintedPlane:
        """Return the labels of a plane, of all prompts or one alone; each plane numbers its objects for itself."""
        inside = self.stack.selection.inside(self.stack.shape)
        masks = [mask for mask in self.planes[place] if alone in (None, mask.prompt)]
        return paint_plane(masks, paint, self.outcomes(place, paint), inside)

    def labels(self, paint: Paint, link: bool) -> tuple[NDArray[np.integer[Any]], dict[int, str], int]:
        """Return labels of the whole image: an array of the stack's shape, the values' prompts, and the overlap.

        Parameters
        ----------
        paint
            How masks become labels.
        link
            Whether separate objects keep their number from plane to plane; if not, numbers go on from plane to plane.
        """
        data = self.stack.blank(np.int32 if paint.instances else np.uint16)
        names: dict[int, str] = {}
        overlap = 0
        for place, values, found, claimed in number_over(self, paint, link):
            self.stack.write(data, place, values)
            names |= found
            overlap += claimed
        return data, names, overlap


def number_over(
    findings: Findings, paint: Paint, link: bool, alone: str | None = None
) -> Iterable[tuple[Place, NDArray[np.integer[Any]], dict[int, str], int]]:
    """Yield each plane in order with its labels, numbered over all planes, their prompts and its overlap."""
    linker: Linker | None = None
    before: Place | None = None
    highest = 0
    for place in sorted(findings.planes):
        plane = findings.paint(place, paint, alone)
        values: NDArray[np.integer[Any]] = plane.values
        names = plane.names
        if paint.instances and link and len(findings.planes) > 1:
            # The planes before and after a jump have nothing in common.
            if linker is None or before is None or not adjoin(before, place):
                linker = Linker(next_free=highest + 1)
            values, names = linker.link(plane.values.astype(np.int32), plane.names)
            highest = max(highest, int(values.max(initial=0)))
        elif paint.instances:
            values = np.where(plane.values > 0, plane.values + highest, 0)
            names = {value + highest: prompt for value, prompt in plane.names.items()}
            highest += max(plane.names, default=0)
        before = place
        yield place, values, names, plane.overlap


class Labels(NamedTuple):
    """Labels of an image, what their values mean, and the findings that they were made from."""

    values: NDArray[np.integer[Any]]
    names: dict[int, str]
    findings: Findings


def follow(recipe: Recipe, image: Any, predictor: Predictor | None = None) -> NDArray[np.integer[Any]]:
    """Do what a recipe says.

    Parameters
    ----------
    recipe
        From a layer made in napari, or put together.
    image
        The array, or the levels of a pyramid, finest first.
    predictor
        With the recipe's model; loaded by default.

    Returns
    -------
    ndarray
        Labels of the image's shape at the recipe's level, without colours: uint16, or int32 where objects are
        numbered.

    Raises
    ------
    ImageError, AxesError
        If the image is not one that the recipe is about.
    CheckpointError
        If there is no such model.
    """
    return labels_of(recipe, image, predictor).values


def labels_of(recipe: Recipe, image: Any, predictor: Predictor | None = None) -> Labels:
    """Do what :func:`follow` does; return also the prompt of each value, and what was found."""
    if predictor is None:
        from napari_biomedparse.engine.predictor import Predictor

        predictor = Predictor.from_pretrained(recipe.model)
    levels = tuple(image) if isinstance(image, list | tuple) else (image,)
    stack = Stack(levels, recipe.selection, recipe.source or "The image")
    findings = Findings(stack, recipe.recognizes)
    for event in look(predictor, stack, recipe, stack.places()):
        if isinstance(event, Seen):
            findings.add(event)
    values, names, _ = findings.labels(recipe.paint, recipe.link)
    return Labels(values, names, findings)
