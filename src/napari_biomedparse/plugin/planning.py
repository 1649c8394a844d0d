"""What a run has to do: which planes, in which order, how long, and what the model would see."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_biomedparse.engine.preprocess import to_rgb
from napari_biomedparse.engine.selection import COLOURS, Place
from napari_biomedparse.engine.stack import Stack
from napari_biomedparse.plugin.mixing import in_order, mixed_stack
from napari_biomedparse.plugin.selecting import Choices, index_on, levels_of, position_of, select
from napari_biomedparse.plugin.worker import Work

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image


def stack_of(viewer: ViewerModel, layer: Image, prompts: Sequence[str], choices: Choices, model: str = "mini") -> Stack:
    """Return what is to be parsed for some prompts, or for everything known where there is none.

    Parameters
    ----------
    viewer, layer
        What is shown, and the image.
    prompts
        What is looked for.
    choices
        What the user chose.
    model
        Name or path of the model that is asked: it decides the level of a pyramid.

    Raises
    ------
    BiomedParseError
        If there is nothing to parse.
    """
    selection = select(viewer, layer, choices, prompts, model)
    layers = in_order(viewer, layer, choices.beside)
    if len(layers) > 1:
        return mixed_stack(layers, layer, selection, choices.window)
    return Stack(levels_of(layer), selection, layer.name)


def shown_place(viewer: ViewerModel, stack: Stack, layer: Image) -> Place:
    """Return the plane of a stack that the viewer's sliders stand at; it need not be among those to parse."""
    position = position_of(viewer, layer)
    axes, finest = stack.selection.axes, stack.levels[0].shape
    at = [axes.index(letter) for letter in stack.selection.free]
    return tuple(index_on(position[n], finest[n], stack.shape[n]) for n in at)


def nearest_first(stack: Stack, shown: Place) -> list[Place]:
    """Return all planes to parse, those nearest to the one that is shown first."""
    return sorted(stack.places(), key=lambda place: sum(abs(a - b) for a, b in zip(place, shown, strict=True)))


def visible_middle(layer: Image, stack: Stack) -> tuple[float, float]:
    """Return the row and column, in the selected part, of the middle of what the canvas shows of a layer."""
    corners = np.asarray(layer.corner_pixels, float)
    if layer.multiscale:
        corners = corners * np.asarray(layer.downsample_factors[layer.data_level])[: layer.ndim]
    selection = stack.selection
    middle = []
    for letter, part in zip((selection.rows, selection.columns), selection.part(stack.shape), strict=True):
        axis = selection.axes.index(letter)
        share = stack.shape[axis] / stack.levels[0].shape[axis]
        middle.append(float(corners[:, axis].mean()) * share - part.start)
    return middle[0], middle[1]


def picture(viewer: ViewerModel, layer: Image, choices: Choices) -> Work:
    """Return work that yields what the model sees of the plane that is shown, uint8 (h, w, 3).

    Raises
    ------
    BiomedParseError
        If there is nothing to see.
    """
    stack = stack_of(viewer, layer, [], replace(choices, scope="slice"))
    place = stack.places()[0]

    def work() -> Generator[Any, None, None]:
        yield to_rgb(stack.read(place))

    return work


class Pace:
    """How fast runs are, to say how long the next one takes."""

    def __init__(self) -> None:
        self._per_pixel = 0.0
        self._first_step = 0.0

    def begin(self) -> None:
        """Begin to time a run."""
        self._first_step = 0.0

    def step(self) -> None:
        """Count a step; the first one has loaded the model, so time counts from there."""
        self._first_step = self._first_step or monotonic()

    def end(self, pixels: int) -> None:
        """Take in that a run over so many pixels of planes is through."""
        if self._first_step and pixels:
            self._per_pixel = (monotonic() - self._first_step) / pixels

    def plan(self, stack: Stack) -> str:
        """Say what there is to do: planes, pixels and, once a run has shown the pace, time."""
        rows, columns = stack.selection.part(stack.shape)
        height, width, planes = rows.stop - rows.start, columns.stop - columns.start, len(stack.places())
        text = f"{planes} plane{'s' if planes > 1 else ''} of {width} x {height}"
        if stack.selection.rgb and stack.selection.channels:
            text += f", {' and '.join(COLOURS[channel.index] for channel in stack.selection.channels)} alone"
        if self._per_pixel:
            text += f", {_duration(self._per_pixel * planes * height * width)}"
        return text


def _duration(seconds: float) -> str:
    """Return a time in words, as roughly as it is known."""
    if seconds < 90:
        told = f"{max(1, round(seconds))} s"
    else:
        told = f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
    # A line does not break between a number and its unit.
    return "about " + told.replace(" ", "\N{NO-BREAK SPACE}")
