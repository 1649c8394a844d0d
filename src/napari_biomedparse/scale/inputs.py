"""From files and a question to jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_biomedparse.engine.channels import Channel
from napari_biomedparse.engine.hounsfield import advice, lowest, window_at
from napari_biomedparse.engine.level import level_for
from napari_biomedparse.engine.preprocess import ImageError
from napari_biomedparse.engine.recipe import Recipe
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.engine.stack import Stack
from napari_biomedparse.engine.units import UNITS, short_unit
from napari_biomedparse.errors import BiomedParseError
from napari_biomedparse.io.names import names_of, stem
from napari_biomedparse.io.opened import OpenedImage, open_image, scenes
from napari_biomedparse.scale.grid import BLOCK_BYTES
from napari_biomedparse.scale.job import Job, sha256_at
from napari_biomedparse.scale.study import StudyError
from napari_biomedparse.weights import locate

# Pixels of the largest plane that is looked at to learn whether it is in Hounsfield units.
PEEKED = 1 << 26


def with_weights(recipe: Recipe) -> Recipe:
    """Return a recipe that tells its model's SHA-256.

    Raises
    ------
    StudyError
        If it tells another one.
    CheckpointError
        If there is no such model.
    """
    digest = sha256_at(Path(locate(recipe.model)))
    if recipe.weights and recipe.weights != digest:
        raise StudyError(f"{recipe.model} is not the model of the recipe: its SHA-256 is another one.")
    return replace(recipe, weights=digest)


def selection_of(
    image: OpenedImage, prompts: Sequence[str], model: str, channels: tuple[Channel, ...] = ()
) -> Selection:
    """Return all planes of an image, on the level of its pyramid that suits what is looked for.

    Parameters
    ----------
    image
        The image.
    prompts
        What is looked for; everything if there is none.
    model
        Name or path of the model that is asked.
    channels
        Which of several channels, and in which window; the first by default, of an image in colours all.

    Raises
    ------
    ImageError
        If there is only one channel, and another is wanted; or a window for an image in colours.
    """
    side = image.spacing.get("Y")
    unit = UNITS.get(short_unit(image.unit)) if image.unit else None
    pixel = side * unit.millimetres * 1000 if side and unit else None
    y, x = image.axes.index("Y"), image.axes.index("X")
    shapes = [(int(level.shape[y]), int(level.shape[x])) for level in image.levels]
    level = level_for(shapes, prompts, model, pixel)
    if not (image.rgb or "C" in image.axes):
        if any(channel.index for channel in channels):
            raise ImageError(f"{image.path} has one channel only; leave out --c, or choose 0.")
        channels = tuple(channel for channel in channels if channel.window)
    if image.rgb and any(channel.window for channel in channels):
        raise ImageError(f"{image.path} is in colours, which have no window; leave out --window.")
    return Selection(image.axes, image.rgb, level=level, channels=channels)


def in_window(image: OpenedImage, selection: Selection, modality: str | None) -> tuple[Selection, str]:
    """Return a selection in the window of a CT's site, if the image is one, and what to do where it may be one.

    Its middle plane tells, of the smallest level.
    """
    array = image.levels[-1]
    channels = selection.channels or (Channel(0, None),)
    if image.rgb or array.dtype.kind not in "if" or any(channel.window for channel in channels):
        return selection, ""
    middle = [array.shape[n] // 2 if letter in "TZ" else slice(None) for n, letter in enumerate(image.axes)]
    if "C" in image.axes:
        middle[image.axes.index("C")] = channels[0].index
    try:
        plane = array[tuple(middle)]
        least = lowest(np.asarray(plane)) if plane.size <= PEEKED else 0.0
    except Exception:
        # Readers raise whatever their libraries do; whoever reads it to parse it says what is wrong.
        return selection, ""
    window = window_at(least, "auto", modality)
    if isinstance(window, str):
        return selection, advice(least, window)
    return replace(selection, channels=tuple(replace(channel, window=window) for channel in channels)), ""


def jobs_of(
    paths: Sequence[Path],
    recipe: Recipe,
    folder: Path,
    device: str,
    selection: Selection | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> tuple[list[Job], list[tuple[Path, Exception]]]:
    """Return a job for each scene of each file, and the files of which one cannot be opened, with the reason.

    Parameters
    ----------
    paths
        Images.
    recipe
        The question.
    folder
        Where results go.
    device
        As for :class:`~napari_biomedparse.Predictor`.
    selection
        What of each image is parsed; by default everything of the channels that the recipe selects.
    block_bytes
        What the pixels of a block may take in a worker.

    Raises
    ------
    StudyError
        If results of two images would have one name.
    """
    jobs: list[Job] = []
    failed: list[tuple[Path, Exception]] = []
    names: dict[str, Path] = {}
    for path in paths:
        if (folder / f"{stem(path)}.ome.zarr").resolve() in (path.resolve(), *path.resolve().parents):
            raise StudyError(f"The results of {path} would take its own place; choose another folder for them.")
        try:
            found = scenes(path)
        except (BiomedParseError, OSError) as error:
            failed.append((path, error))
            continue
        several: Sequence[str | None] = found if len(found) > 1 else [None]
        for scene, name in zip(several, names_of(path, several), strict=True):
            try:
                image = open_image(path, scene)
                chosen, note = selection, ""
                if chosen is None:
                    chosen = selection_of(image, recipe.prompts, recipe.model, recipe.selection.channels)
                    chosen, note = in_window(image, chosen, recipe.modality)
                pixels = Stack(image.levels, chosen, str(path)).pixels
            except (BiomedParseError, OSError) as error:
                failed.append((path, error))
                continue
            if name in names:
                raise StudyError(f"{names[name]} and {path} would both be written to {name}.ome.zarr; use two folders.")
            names[name] = path
            asked = replace(recipe, selection=chosen)
            jobs.append(Job(path.resolve(), scene, asked, device, folder, name, block_bytes, pixels, note=note))
    return jobs, failed
