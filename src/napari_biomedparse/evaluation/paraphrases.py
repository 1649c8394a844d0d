"""How much the answer depends on which of an object's names is used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_biomedparse.engine.measure import Row
from napari_biomedparse.evaluation.scores import TargetKey
from napari_biomedparse.ontology import find_object, normalise
from napari_biomedparse.ontology.lookup import names_in


@dataclass(frozen=True)
class PhraseScore:
    """Dice of one image asked in one phrasing."""

    key: TargetKey
    phrase: str
    dice: float


def phrasings(target: str, modality: str, site: str) -> list[str]:
    """Return a target's own name, then every other that the ontology has for it in a modality and site."""
    found = find_object(target, modality, site)
    names = names_in(found, modality, site) if found else ()
    return list(dict.fromkeys(map(normalise, (target, *names))))


PHRASE_COLUMNS = ("dataset", "modality", "site", "target", "phrase", "images", "dice_mean", "change")


def phrase_rows(scores: Sequence[PhraseScore]) -> list[Row]:
    """Return a row of :data:`PHRASE_COLUMNS` per phrasing; ``change`` is against the mean Dice of the target's name."""
    rows: list[Row] = []
    for key, means in _means(scores).items():
        for phrase, (images, mean) in means.items():
            # No minus before a change that rounds to none.
            change = round(mean - means[normalise(key.target)][1], 4) + 0.0
            values = (key.dataset, key.modality, key.site, key.target, phrase, images, round(mean, 4), change)
            rows.append(dict(zip(PHRASE_COLUMNS, values, strict=True)))
    return rows


def largest_changes(scores: Sequence[PhraseScore]) -> Mapping[TargetKey, float]:
    """Return for each target by how much the mean Dice of any phrasing differs from that of its name at most."""
    return {
        key: max(abs(mean - means[normalise(key.target)][1]) for _, mean in means.values())
        for key, means in _means(scores).items()
    }


def _means(scores: Sequence[PhraseScore]) -> dict[TargetKey, dict[str, tuple[int, float]]]:
    values: dict[TargetKey, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for score in scores:
        values[score.key][score.phrase].append(score.dice)
    return {
        key: {phrase: (len(dices), float(np.mean(dices))) for phrase, dices in phrases.items()}
        for key, phrases in values.items()
    }
