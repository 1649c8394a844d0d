"""From layers to examples to learn from: planes with their labels, and what the labels mean."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.recipe import RecipeError
from napari_biomedparse.engine.selection import Place, Selection
from napari_biomedparse.engine.stack import Stack
from napari_biomedparse.errors import SettingError
from napari_biomedparse.plugin.layers import METADATA_KEY, recipe_of
from napari_biomedparse.plugin.mixing import stack_again
from napari_biomedparse.plugin.selecting import levels_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

# More planes than this teach little more and are held in memory twice.
MOST_PLANES = 32

Plane = tuple[NDArray[Any], NDArray[np.int64]]


def labelled_planes(viewer: ViewerModel, image: Image, labels: Labels, beside: Collection[Image] = ()) -> list[Plane]:
    """Return copies of the planes that have labels, at most 32, evenly chosen.

    A result's layer is read as its image was: the same planes and channels, mixed from several layers if it was, and of
    planes with labels nowhere else only the part that was parsed.

    Parameters
    ----------
    viewer
        Where the layers are.
    image
        Of any number of axes; of a multiscale one, the level that has the labels' shape is taken.
    labels
        Labels of the same shape; unless a result, the last two axes are the planes'.
    beside
        The other layers that a mixed result was made from.

    Returns
    -------
    list
        Image plane (H, W) or (H, W, 3) and its labels int64 (H, W), in their order in the stack.

    Raises
    ------
    SettingError
        If the shapes do not fit, nothing is labelled, or layers that were mixed are not given.
    """
    values = labels.data[0] if labels.multiscale else labels.data
    level = _level(image, tuple(values.shape), labels.name)
    parsed = _parsed(image, labels)
    if parsed is None:
        planes = _as_shown(image, level, values)
    else:
        selection = replace(parsed, level=level)
        part = stack_again(viewer, image, beside, selection)
        whole = stack_again(viewer, image, beside, replace(selection, region=None))
        planes = _as_parsed(part, whole, values)
    if not planes:
        raise SettingError(f"Nothing is labelled in {labels.name!r}; paint some objects first.")
    return [(plane[..., :3] if plane.ndim == 3 else plane, numbers) for plane, numbers in planes]


def _level(image: Image, shape: tuple[int, ...], labels_name: str) -> int:
    for number, level in enumerate(levels_of(image)):
        if tuple(level.shape[: len(level.shape) - image.rgb]) == shape:
            return number
    raise SettingError(
        f"The labels {labels_name!r} have the shape {shape}, which the image {image.name!r} does not have; choose the "
        "image that they were made on."
    )


def _parsed(image: Image, labels: Labels) -> Selection | None:
    """Return how the image of a result was read, for all planes of it; None for labels that are no result on it."""
    try:
        recipe = recipe_of(labels)
    except RecipeError:
        return None
    if recipe is None or recipe.selection.rgb != image.rgb:
        return None
    # Layers of a channel each are recorded as one image with an axis of channels.
    joined = "C" in recipe.selection.axes and len(recipe.selection.channels) > 1
    if len(recipe.selection.axes) not in (image.ndim, image.ndim + joined):
        return None
    return replace(recipe.selection, at={}, outlines=())


def _as_shown(image: Image, level: int, values: Any) -> list[Plane]:
    pixels = levels_of(image)[level]
    found = [place for place in np.ndindex(tuple(values.shape[:-2])) if np.any(np.asarray(values[place]))]
    return [(np.array(pixels[place]), np.array(values[place], np.int64)) for place in _some(found)]


def _as_parsed(part: Stack, whole: Stack, values: Any) -> list[Plane]:
    selection = part.selection
    # All channels of a result share their labels.
    channel = selection.channels[0].index if selection.channels else 0

    def numbers_of(stack: Stack, place: Place) -> NDArray[np.int64]:
        at = selection.index(place, channel, stack.selection.part(stack.shape))
        numbers = np.array(values[at], np.int64)
        return numbers.T if selection.transposed else numbers

    found = [place for place in whole.places() if numbers_of(whole, place).any()]
    planes = []
    for place in _some(found):
        labelled = np.count_nonzero(numbers_of(whole, place))
        stack = part if np.count_nonzero(numbers_of(part, place)) == labelled else whole
        planes.append((np.array(stack.read(place)), numbers_of(stack, place)))
    return planes


def _some(places: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    if len(places) <= MOST_PLANES:
        return places
    return [places[at] for at in np.linspace(0, len(places) - 1, MOST_PLANES).round().astype(int)]


def names_of(labels: Labels) -> dict[int, str]:
    """Return what a layer's values are called: value -> prompt; empty where neither its metadata nor its table say."""
    about = labels.metadata.get(METADATA_KEY)
    names = about.get("names") if isinstance(about, dict) else None
    if isinstance(names, dict):
        return {int(value): str(name) for value, name in names.items()}
    table = labels.features
    value = next((column for column in ("index", "label") if column in table), None)
    if value is None or "prompt" not in table:
        return {}
    known = table[[value, "prompt"]].dropna()
    return {int(number): str(name) for number, name in known.itertuples(index=False) if name}


def modality_of(labels: Labels) -> str | None:
    """Return the modality that a result's layer was made with, None where that is not known."""
    about = labels.metadata.get(METADATA_KEY)
    modality = about.get("modality") if isinstance(about, dict) else None
    return modality if isinstance(modality, str) else None


def meanings(values: Collection[int], names: Mapping[int, str], words: list[str]) -> dict[int, str]:
    """Return what each value of a layer means.

    Parameters
    ----------
    values
        The values that occur, without 0.
    names
        What is known of them: value -> prompt.
    words
        What the user typed. A single word holds for all values, unless they are known to differ; then it is for those
        that have no name. As many words as values are taken in the values' order.

    Raises
    ------
    SettingError
        If the words do not say what a value means.
    """
    rows = sorted(values)
    known = {value: names[value] for value in rows if value in names}
    if len(set(names.values())) > 1:
        nameless = [value for value in rows if value not in known]
        new = [word for word in words if word not in names.values()]
        if nameless and len(new) != 1:
            listed = ", ".join(map(str, nameless[:5])) + (", …" if len(nameless) > 5 else "")
            raise SettingError(f"The labels {listed} have no name; add one word for them to what the labels show.")
        return {**known, **dict.fromkeys(nameless, *new)} if nameless else known
    if len(words) == 1:
        return dict.fromkeys(rows, words[0])
    if words and len(words) == len(rows):
        return dict(zip(rows, words, strict=True))
    if not words:
        raise SettingError("Type what the labels show, for example: nuclei")
    raise SettingError(f"Type one word for all labels, or one for each of the {len(rows)} values.")
