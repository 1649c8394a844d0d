"""Recognise everything: ask for each object of a modality, drop what is not there, share the pixels out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.boxes import Box, box_objects
from napari_biomedparse.engine.labels import LabelImage
from napari_biomedparse.engine.presence import presence
from napari_biomedparse.engine.results import ObjectMask
from napari_biomedparse.ontology import Distributions, ModalityError, RecognitionTable
from napari_biomedparse.ontology.recognition_table import without_lists

# Below this p-value an object counts as absent (published recommendation).
LIMIT = 0.05
# Probabilities above the first claim a pixel, above the second label it; the shares are of an object's own area
# (published).
CLAIM, LABEL, COVERED, LEAST_WON = 0.1, 0.5, 0.5, 0.5

# Difference between the largest and the smallest of red, green and blue from which a pixel looks coloured, and the
# share of such pixels from which an image does: JPEG leaves less in grey images, and stained sections are full of them.
COLOURED = 20
COLOURED_SHARE = 0.01

Outcome = Literal["found", "improbable", "empty", "covered", "outvoted"]


@dataclass(frozen=True)
class Finding:
    """What became of one object.

    Attributes
    ----------
    mask
        The model's answer.
    p_value
        Result of the presence test; None (unknown) where the table has no distributions of the object.
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

    def boxes(self, instances: bool = False) -> list[Box]:
        """Return a box around the pixels it keeps, or one around every separate object of them."""
        objects = self.mask.split(self.pixels) if instances else self.pixels.astype(np.int32)
        return box_objects(objects, self.pixels, self.mask.probability)


@dataclass(frozen=True)
class Recognition:
    """What was found of a modality's objects.

    Attributes
    ----------
    modality
        The one whose list was gone through.
    scores
        Modality -> how well its objects passed the presence test, if the modality was guessed; otherwise empty.
    findings
        A finding per object of the list, most probable first.
    """

    modality: str
    scores: Mapping[str, float]
    findings: tuple[Finding, ...]

    @property
    def guessed(self) -> bool:
        """Whether the modality was guessed."""
        return bool(self.scores)

    @property
    def found(self) -> list[Finding]:
        """The findings that are there."""
        return [finding for finding in self.findings if finding.outcome == "found"]

    def labels(self) -> LabelImage:
        """Compose the found objects into one label image; the n-th found one has the value n."""
        values = np.zeros(self.findings[0].pixels.shape, np.int32)
        for number, finding in enumerate(self.found, start=1):
            values[finding.pixels] = number
        return LabelImage(values, {n: finding.mask.prompt for n, finding in enumerate(self.found, start=1)}, 0)


def guess_modality(
    table: RecognitionTable, rgb: NDArray[np.uint8], ask: Callable[[Sequence[str]], Sequence[ObjectMask]]
) -> tuple[str, dict[str, float]]:
    """Guess what kind of image this is from what is found on it.

    The objects of all modalities that are coloured, or are not, as the image is, are asked for. A modality's score is
    the largest p-value of the presence test among its objects; that test knows how bright and how coloured each object
    is in the modality.

    Parameters
    ----------
    table
        What is looked for; modalities without any distribution cannot be guessed.
    rgb
        The image as the network saw it, uint8 (H, W, 3).
    ask
        Prompts to masks, in order.

    Returns
    -------
    tuple
        The best modality, and the scores of all that were tried, best first.

    Raises
    ------
    ModalityError
        If no object of any modality passes the test.
    """
    coloured = is_coloured(rgb)
    tried = {
        modality: names
        for modality, names in table.lists.items()
        if any(
            pairs is not None and _is_of_coloured(pairs) == coloured
            for pairs in (table.distributions(modality, name) for name in names)
        )
    }
    asked = list(dict.fromkeys(name for names in tried.values() for name in names))
    masks = dict(zip(asked, ask(asked), strict=True)) if asked else {}
    scores = {
        modality: max(presence(masks[name], rgb, table.distributions(modality, name)) or 0.0 for name in names)
        for modality, names in tried.items()
    }
    scores = dict(sorted(scores.items(), key=lambda entry: -entry[1]))
    best = next(iter(scores), None)
    if best is None or scores[best] < LIMIT:
        raise cannot_guess(table)
    return best, scores


def cannot_guess(table: RecognitionTable) -> ModalityError:
    """Return the error that asks for the modality."""
    if not table.lists:
        return without_lists()
    known = ", ".join(table.lists)
    return ModalityError(f"The kind of image could not be guessed; name its modality, one of: {known}.")


def _is_of_coloured(pairs: Distributions) -> bool:
    """Return whether the means of red, green and blue that an object's distributions expect differ visibly."""
    means = [alpha / (alpha + beta) for alpha, beta in pairs[1:]]
    return (max(means) - min(means)) * 256 > COLOURED


def is_coloured(rgb: NDArray[np.uint8]) -> bool:
    """Return whether enough pixels of an image, uint8 (H, W, 3), differ visibly from grey."""
    spread = rgb.max(axis=-1) - rgb.min(axis=-1)
    return bool((spread > COLOURED).mean() > COLOURED_SHARE)


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
    areas = [int(np.count_nonzero(claim)) for claim in claims]
    # Rows in float32, their sums in float64: a fifth of the time of float64 throughout, and as good.
    sums = [np.einsum("ij,ij->i", p, claim.view(np.uint8)) for p, claim in zip(probabilities, claims, strict=True)]
    means = [float(rows.sum(dtype=np.float64)) / area if area else 0.0 for rows, area in zip(sums, areas, strict=True)]
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
