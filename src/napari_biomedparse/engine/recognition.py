"""Recognise everything: ask for each object of a modality, drop what is not there, share the pixels out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.labels import LabelImage
from napari_biomedparse.engine.predictor import EncodedImage, Predictor
from napari_biomedparse.engine.presence import presence
from napari_biomedparse.engine.results import ObjectMask
from napari_biomedparse.ontology import objects_of

# Below this p-value an object counts as absent (published recommendation).
LIMIT = 0.05
# Probabilities above the first claim a pixel, above the second label it; the shares are of an object's own area
# (published).
CLAIM, LABEL, COVERED, LEAST_WON = 0.1, 0.5, 0.5, 0.5

Outcome = Literal["found", "improbable", "empty", "covered", "outvoted"]


@dataclass(frozen=True)
class Finding:
    """What became of one object.

    Attributes
    ----------
    mask
        The model's answer.
    p_value
        Result of the presence test; None where the published table knows nothing of the object.
    outcome
        ``"found"``; or why it was dropped: an ``"improbable"`` or ``"empty"`` mask, ``"covered"`` by a more probable
        object's, or ``"outvoted"``: it lost most of its pixels to others.
    pixels
        bool (H, W): the pixels it keeps; all False unless found.
    """

    mask: ObjectMask
    p_value: float | None
    outcome: Outcome
    pixels: NDArray[np.bool_]


def recognize(
    predictor: Predictor, image: EncodedImage | NDArray[np.generic], modality: str, limit: float = LIMIT
) -> list[Finding]:
    """Look for every object of a modality's published list.

    Parameters
    ----------
    predictor
        The model.
    image
        An encoded image, or the array itself.
    modality
        A key of :func:`~napari_biomedparse.ontology.recognition_lists`.
    limit
        p-value below which an object is taken for absent; objects that have none are kept, after those that have.

    Returns
    -------
    list of Finding
        A finding per object of the list, most probable first.

    Raises
    ------
    ModalityError
        If there is no list for the modality.
    """
    names = objects_of(modality)
    encoded = image if isinstance(image, EncodedImage) else predictor.encode(image, scales=())
    masks = predictor.segment(encoded, names)
    return judge(masks, [presence(mask, encoded.rgb, modality) for mask in masks], limit)


def judge(masks: Sequence[ObjectMask], p_values: Sequence[float | None], limit: float = LIMIT) -> list[Finding]:
    """Decide which masks stay and which pixels they keep, from masks and the results of their presence tests."""
    if not masks:
        return []
    nothing = np.zeros(masks[0].probability.shape, bool)
    # Stable: objects of one p-value keep the order of their list; those without one come last.
    ranked = sorted(zip(masks, p_values, strict=True), key=lambda pair: 1.0 if pair[1] is None else -pair[1])
    findings = [Finding(mask, p, "found", nothing) for mask, p in ranked]
    findings = [_if_probable(finding, limit) for finding in findings]
    kept: list[NDArray[np.bool_]] = []
    for place, finding in enumerate(findings):
        if finding.outcome == "found":
            inside = finding.mask.mask(LABEL)
            area = int(inside.sum())
            if any(int((inside & other).sum()) > COVERED * area for other in kept):
                findings[place] = replace(finding, outcome="covered")
            else:
                kept.append(inside)
    places = [place for place, finding in enumerate(findings) if finding.outcome == "found"]
    shares = share_pixels([findings[place].mask.probability for place in places])
    for place, pixels in zip(places, shares, strict=True):
        found = findings[place]
        findings[place] = replace(found, outcome="outvoted") if pixels is None else replace(found, pixels=pixels)
    return findings


def _if_probable(finding: Finding, limit: float) -> Finding:
    if not finding.mask.mask(LABEL).any():
        return replace(finding, outcome="empty")
    if finding.p_value is not None and finding.p_value < limit:
        return replace(finding, outcome="improbable")
    return finding


def share_pixels(probabilities: Sequence[NDArray[np.float32]]) -> list[NDArray[np.bool_] | None]:
    """Give every pixel to its most probable object, the first of equals.

    Parameters
    ----------
    probabilities
        float32 (H, W) each, of one shape.

    Returns
    -------
    list
        bool (H, W) per object; None for one that keeps less than half of the area it claims, except for the object
        with the highest mean probability.
    """
    if not probabilities:
        return []
    winner = _winners(probabilities, CLAIM)
    won = np.bincount(winner.ravel(), minlength=len(probabilities) + 1)[1:]
    claims = [p > CLAIM for p in probabilities]
    areas = [int(claim.sum()) for claim in claims]
    means = [
        float(p.mean(where=claim, dtype=np.float64)) if area else 0.0
        for p, claim, area in zip(probabilities, claims, areas, strict=True)
    ]
    best = int(np.argmax(means))
    stays = [n == best or won[n] >= LEAST_WON * areas[n] for n in range(len(probabilities))]
    remaining = [p for p, stay in zip(probabilities, stays, strict=True) if stay]
    labels = _winners(remaining, LABEL)
    numbers = iter(range(1, len(remaining) + 1))
    return [labels == next(numbers) if stay else None for stay in stays]


def _winners(probabilities: Sequence[NDArray[np.float32]], least: float) -> NDArray[np.uint8 | np.uint16]:
    """Return the number, from 1, of the most probable object above ``least`` at each pixel; 0 where there is none."""
    shape = probabilities[0].shape
    winner = np.zeros(shape, np.uint8 if len(probabilities) < 256 else np.uint16)
    highest = np.full(shape, least, np.float32)
    for number, probability in enumerate(probabilities, start=1):
        better = probability > highest
        np.copyto(winner, number, where=better)
        np.copyto(highest, probability, where=better)
    return winner


def label_findings(findings: Sequence[Finding]) -> LabelImage:
    """Compose the found objects into one label image; the n-th found one has the value n.

    Raises
    ------
    ValueError
        If there is no finding at all.
    """
    if not findings:
        raise ValueError("There is no finding to label.")
    found = [finding for finding in findings if finding.outcome == "found"]
    values = np.zeros(findings[0].pixels.shape, np.int32)
    for number, finding in enumerate(found, start=1):
        values[finding.pixels] = number
    return LabelImage(values, {n: finding.mask.prompt for n, finding in enumerate(found, start=1)}, 0)
