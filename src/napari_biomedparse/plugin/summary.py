"""What became of each prompt over all planes: a row of the results table each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from napari_biomedparse.engine.follow import Findings
from napari_biomedparse.engine.kept import KeptMask
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.recognition import LIMIT, Outcome
from napari_biomedparse.ontology import find_object, suggest
from napari_biomedparse.ontology.palette import RGBA
from napari_biomedparse.plugin.painting import Painted
from napari_biomedparse.plugin.rows import ResultRow

State = Literal["found", "doubtful", "not found"]

# Mean probability of an object's pixels below which it is doubtful: of what is absent, most is below.
UNSURE = 0.6
_REASONS: dict[Outcome, str] = {
    "found": "",
    "improbable": "what was found there does not look like it",
    "empty": "no pixel is above the threshold",
    "covered": "it lies where a more probable object was found",
    "outvoted": "other objects took most of its pixels",
}


@dataclass(frozen=True)
class Measure:
    """What a pixel counts in the table.

    Attributes
    ----------
    size
        Area or volume of a pixel in ``unit``.
    unit
        Such as ``"µm²"``, ``"mm³"`` or ``"px"``.
    """

    size: float = 1.0
    unit: str = "px"


def summarise(
    findings: Findings,
    paint: Paint,
    painted: Iterable[Painted],
    measure: Measure,
    colours: Mapping[str, RGBA],
    hidden: frozenset[str],
    review: Mapping[str, Literal["accepted", "rejected"]],
) -> list[ResultRow]:
    """Return a row per prompt, in the order asked."""
    rows = []
    # The run's thread may add a plane meanwhile.
    painted, kept = list(painted), dict(findings.planes)
    for number, prompt in enumerate(findings.prompts):
        masks = [planes[number] for planes in kept.values()]
        outcomes = [findings.outcomes(place, paint)[prompt] for place in kept]
        known = [mask.presence for mask in masks if mask.presence is not None]
        presence = max(known, default=None)
        there = [mask for mask, outcome in zip(masks, outcomes, strict=True) if outcome == "found"]
        probability = max((mask.confidence for mask in there or masks), default=0.0)
        state, reason = _state(prompt, there, outcomes, presence, probability)
        pixels = sum(plane.pixels.get(prompt, 0) for plane in painted)
        values: frozenset[int] = frozenset().union(*(plane.present.get(prompt, ()) for plane in painted))
        found = find_object(prompt)
        rows.append(
            ResultRow(
                prompt=prompt,
                name=found.name if found else prompt,
                colour=colours[prompt],
                state=state,
                reason=reason,
                presence=presence,
                probability=probability,
                size=pixels * measure.size,
                size_unit=measure.unit,
                count=len(values) if paint.instances else None,
                visible=prompt not in hidden,
                threshold=paint.thresholds.get(prompt),
                review=review.get(prompt, ""),
            )
        )
    return rows


def _state(
    prompt: str, there: list[KeptMask], outcomes: list[Outcome], presence: float | None, probability: float
) -> tuple[State, str]:
    if not there:
        # What was nearest to being found is the most telling.
        order: tuple[Outcome, ...] = ("covered", "outvoted", "improbable", "empty")
        outcome = next(outcome for outcome in order if outcome in outcomes)
        return "not found", _REASONS[outcome]
    reasons = []
    if presence is not None and presence < LIMIT:
        reasons.append(f"what was found does not look like it (p = {presence:.2g})")
    if not any(mask.depends_on_words for mask in there):
        reasons.append("the result does not depend on your words")
    if probability < UNSURE:
        reasons.append(f"the mean probability is only {probability:.2f}")
    if find_object(prompt) is None:
        near = suggest(prompt)
        hint = f"; known are {', '.join(near[:3])}" if near else ""
        reasons.append(f"the words are not in the vocabulary{hint}")
    if reasons:
        return "doubtful", "; ".join(reasons)
    return "found", "passes the presence test" if presence is not None else "no presence test is known for it here"
