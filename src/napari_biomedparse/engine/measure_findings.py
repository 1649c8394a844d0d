"""Measure labels that were made from what a run found: their sizes, the image's intensities, the probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.frames import Frames
from napari_biomedparse.engine.kept import STEPS
from napari_biomedparse.engine.measure_stack import Cell, Probability, axes_across, measure_stack, stack_columns

if TYPE_CHECKING:
    from napari_biomedparse.engine.follow import Findings
    from napari_biomedparse.engine.recipe import Recipe


class Measured(NamedTuple):
    """A table of objects: its columns, which are there also if there is no row, and its rows."""

    columns: list[str]
    rows: list[dict[str, Cell]]


def measure_findings(
    findings: Findings,
    recipe: Recipe,
    labels: Any,
    names: Mapping[int, str],
    spacing: Mapping[str, float],
    unit: str | None,
    channels: Sequence[str] = (),
) -> Measured:
    """Measure labels that were made from findings, and perhaps changed by hand since.

    Parameters
    ----------
    findings, recipe
        What was found, and how the labels were made from it.
    labels
        Integers of the shape of the findings' stack, with its axes; 0 is background.
    names
        Label -> prompt.
    spacing, unit
        Sizes of a pixel of the labels, and their unit, as :func:`~.measure_stack.measure_stack` takes them.
    channels
        Names of the image's channels, as far as they are known; see :meth:`.stack.Stack.channel_names`.

    Returns
    -------
    Measured
        As :func:`~.measure_stack.measure_stack` has it, with the intensities of every channel. The probability of a
        label painted by hand is that of the prompt it is named after, in the pixels it has now.
    """
    stack = findings.stack
    intensity = stack.intensities(channels)
    frames = Frames(labels, stack.selection.axes)
    solid = stack.has_volumes(recipe.paint.instances, recipe.link)
    about: dict[str, Any] = {"spacing": spacing, "unit": unit, "solid": solid, "plane": stack.selection.plane}
    columns = stack_columns(frames, channels=list(intensity), probability=True, **about)
    rows = measure_stack(frames, names, intensity=intensity, probability=probability_of(findings), **about)
    return Measured(columns, list(rows))


def probability_of(findings: Findings) -> Probability:
    """Return what tells the probability of a prompt on a plane, in steps of 1/200, 0 where it is at most 0.02.

    It is not known outside of the part of the planes that was parsed. Labels of a level of a pyramid need no
    resampling: the masks are of the same level.
    """
    selection, shape = findings.stack.selection, findings.stack.shape
    plane, part = selection.plane_shape(shape), selection.part(shape)
    across = axes_across(selection.plane)

    def probability(prompt: str, frame: int, section: int) -> NDArray[np.float32] | None:
        at = dict(zip(across, (frame, section), strict=True))
        masks = findings.planes.get(tuple(at[letter] for letter in selection.free), ())
        mask = next((mask for mask in masks if mask.prompt == prompt), None)
        if mask is None:
            return None
        whole = np.full(plane, np.nan, np.float32)
        whole[part] = mask.spread(mask.levels) / np.float32(STEPS)
        return whole

    return probability
