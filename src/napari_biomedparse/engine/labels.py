"""From masks to one label image: who gets a pixel, and which values mean what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.results import ObjectMask
from napari_biomedparse.errors import SettingError


@dataclass(frozen=True)
class LabelImage:
    """A label image and the meaning of its values.

    Attributes
    ----------
    values
        int32 (H, W); 0 is background.
    names
        Label value -> prompt.
    overlap
        Pixels that more than one prompt claimed; each went to the most probable one.
    """

    values: NDArray[np.int32]
    names: dict[int, str]
    overlap: int


def compose_labels(masks: Sequence[ObjectMask], threshold: float = 0.5, instances: bool = False) -> LabelImage:
    """Compose masks into one label image; a pixel claimed twice goes to the most probable prompt.

    Parameters
    ----------
    masks
        At least one mask, all of one shape.
    threshold
        Probability above which a pixel belongs to an object.
    instances
        Give every separate object a value of its own, splitting those that touch; otherwise the n-th prompt
        has the value n.

    Raises
    ------
    SettingError
        If there is no mask, or the threshold is not between 0 and 1.
    """
    if not masks:
        raise SettingError("There is no mask to compose.")
    above = [mask.mask(threshold) for mask in masks]
    claims = np.sum(above, axis=0, dtype=np.int32)
    best = np.zeros(claims.shape, np.float32)
    winner = np.zeros(claims.shape, np.int32)
    for value, (mask, claimed) in enumerate(zip(masks, above, strict=True), start=1):
        better = claimed & (mask.probability > best)
        winner[better] = value
        best[better] = mask.probability[better]
    overlap = int((claims > 1).sum())
    if not instances:
        return LabelImage(winner, {n: mask.prompt for n, mask in enumerate(masks, start=1)}, overlap)
    values = np.zeros_like(winner)
    names: dict[int, str] = {}
    for number, mask in enumerate(masks, start=1):
        objects = mask.split(winner == number)
        # A filled hole may hold another prompt's object, which keeps it.
        objects[(winner > 0) & (winner != number)] = 0
        values[objects > 0] = objects[objects > 0] + len(names)
        names |= dict.fromkeys(range(len(names) + 1, len(names) + int(objects.max(initial=0)) + 1), mask.prompt)
    return LabelImage(values, names, overlap)
