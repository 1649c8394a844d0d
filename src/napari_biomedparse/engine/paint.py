"""From kept masks to the labels of a plane: who gets a pixel, what is left out, what is parted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.instances import Typical, split_instances
from napari_biomedparse.engine.kept import KeptMask, step_of
from napari_biomedparse.engine.recognition import Outcome, judge
from napari_biomedparse.errors import SettingError

Rule = Literal["most probable", "first", "last"]
Split = Literal["learned", "distance", "apart"]


@dataclass(frozen=True)
class Paint:
    """How masks become labels; none of it needs the model.

    Parameters
    ----------
    threshold
        Probability above which a pixel is labelled, in steps of 0.005.
    thresholds
        Prompt -> a threshold of its own.
    presence
        p-value below which an object is left out; one without p-value stays.
    rule
        Who gets a pixel that several claim: the ``"most probable"``, the ``"first"`` or the ``"last"`` asked.
    instances
        Whether every separate object gets a value of its own.
    split
        How objects are told apart: where the inner parts say that the model found (``"learned"``, and by distance for
        objects without them), where the distance to the border is least (``"distance"``), or only where they do not
        touch (``"apart"``).
    min_area
        Separate objects with fewer pixels are left out.
    fill_holes
        Whether holes in separate objects are filled.

    Raises
    ------
    SettingError
        If a value is out of its range.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic reads it)

    threshold: float = 0.5
    thresholds: Mapping[str, float] = field(default_factory=dict)
    presence: float = 0.0
    rule: Rule = "most probable"
    instances: bool = False
    split: Split = "learned"
    min_area: int = 20
    fill_holes: bool = True

    def __post_init__(self) -> None:
        for value in (self.threshold, *self.thresholds.values()):
            step_of(value)
        if not 0 <= self.presence <= 1:
            raise SettingError(f"The presence must be between 0 and 1, not {self.presence}.")
        if self.min_area < 0:
            raise SettingError(f"The least area must be 0 pixels or more, not {self.min_area}.")
        for chosen, kind in ((self.rule, Rule), (self.split, Split)):
            if chosen not in get_args(kind):
                raise SettingError(f"There is {' or '.join(map(repr, get_args(kind)))}, but no {chosen!r}.")

    def threshold_of(self, prompt: str) -> float:
        """Return the threshold that holds for a prompt."""
        return self.thresholds.get(prompt, self.threshold)


@dataclass(frozen=True)
class PaintedPlane:
    """The labels of a plane.

    Attributes
    ----------
    values
        uint16 or int32 (H, W); 0 is background.
    names
        Value -> prompt, of the values that may occur.
    overlap
        Pixels that more than one object claimed.
    """

    values: NDArray[np.uint16] | NDArray[np.int32]
    names: dict[int, str]
    overlap: int


def outcomes(masks: Sequence[KeptMask], paint: Paint, recognized: bool) -> dict[str, Outcome]:
    """Return what becomes of each prompt's mask on a plane.

    Objects that were asked for by name are ``"improbable"`` below the presence that is set; of those that
    recognition came up with, doubles are ``"covered"`` or ``"outvoted"`` too
    (:func:`~napari_biomedparse.engine.recognition.judge`).
    """
    if recognized:
        restored = [mask.restore() for mask in masks]
        findings = judge(restored, [mask.presence for mask in masks], paint.presence)
        return {finding.mask.prompt: finding.outcome for finding in findings}
    return {mask.prompt: _outcome(mask, paint) for mask in masks}


def _outcome(mask: KeptMask, paint: Paint) -> Outcome:
    if mask.presence is not None and mask.presence < paint.presence:
        return "improbable"
    return "found" if mask.pixels_above(paint.threshold_of(mask.prompt)) else "empty"


def paint_plane(
    masks: Sequence[KeptMask],
    paint: Paint,
    kept: Mapping[str, Outcome],
    inside: NDArray[np.bool_] | None = None,
    typical: Mapping[str, Typical] | None = None,
) -> PaintedPlane:
    """Compose the masks of a plane into labels.

    Parameters
    ----------
    masks
        At least one, all of one shape. The n-th has the value n, unless ``instances``.
    paint
        How.
    kept
        From :func:`outcomes`; what is covered, outvoted or improbable gets no pixel.
    inside
        bool (H, W): where labels may lie; everywhere by default.
    typical
        Prompt -> what holds for the whole plane, if the masks are only of a part of it.
    """
    winner = np.zeros(masks[0].shape, np.uint16)
    best = np.zeros(masks[0].shape, np.uint8)
    claimed = np.zeros(masks[0].shape, np.uint8)
    for value, mask in enumerate(masks, start=1):
        if kept[mask.prompt] not in ("found", "empty"):
            continue
        part = mask.slices
        above = mask.levels > step_of(paint.threshold_of(mask.prompt))
        if len(masks) > 1:
            claimed[part] += above
            if paint.rule == "first":
                above &= winner[part] == 0
            elif paint.rule == "most probable":
                above &= mask.levels > best[part]
                np.copyto(best[part], mask.levels, where=above)
        np.copyto(winner[part], np.uint16(value), where=above)
    if inside is not None:
        winner *= inside
        claimed *= inside
    names = {n: mask.prompt for n, mask in enumerate(masks, start=1)}
    overlap = int((claimed > 1).sum()) if len(masks) > 1 else 0
    if not paint.instances:
        return PaintedPlane(winner, names, overlap)
    return PaintedPlane(*_parted(winner, masks, paint, inside, typical or {}), overlap)


def _parted(
    winner: NDArray[np.uint16],
    masks: Sequence[KeptMask],
    paint: Paint,
    inside: NDArray[np.bool_] | None,
    typical: Mapping[str, Typical],
) -> tuple[NDArray[np.int32], dict[int, str]]:
    values = np.zeros(winner.shape, np.int32)
    names: dict[int, str] = {}
    for number, kept in enumerate(masks, start=1):
        pixels = winner == number
        if not pixels.any():
            continue
        mask = kept.restore()
        objects = split_instances(
            pixels,
            mask.probability,
            paint.min_area,
            mask.cores if paint.split == "learned" else None,
            touching=paint.split != "apart",
            fill_holes=paint.fill_holes,
            typical=typical.get(kept.prompt),
        )
        # A filled hole may hold another prompt's object, which keeps it.
        objects[(winner > 0) & ~pixels] = 0
        if inside is not None:
            objects *= inside
        found = int(objects.max(initial=0))
        np.copyto(values, objects + len(names), where=objects > 0)
        names |= dict.fromkeys(range(len(names) + 1, len(names) + found + 1), kept.prompt)
    return values, names
