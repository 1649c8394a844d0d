"""What a model is to be asked when somebody asks for something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Literal

from napari_biomedparse.ontology.lookup import (
    all_objects,
    children_of,
    descendants_of,
    find_modality,
    find_object,
    occurs_in,
)
from napari_biomedparse.ontology.objects import BiomedicalObject
from napari_biomedparse.ontology.table import shipped

# Similarity (difflib's ratio, 0 to 1) below which a name is no suggestion.
SIMILAR = 0.6


@dataclass(frozen=True)
class Resolution:
    """What a prompt comes to.

    Attributes
    ----------
    prompt
        The user's words.
    kind
        ``"object"``: the model knows it; ``"children"``: the model knows its kinds or pieces, whose masks together are
        its mask; ``"free text"``: asked as it is.
    object
        The object of the ontology, also where the model does not know it; None for words that name none.
    parts
        The objects that are asked for in its place, for ``"children"``.
    asked
        Prompts for the model, at least one. The union of their masks is the answer.
    suggestions
        For free text, names of the nearest objects that the model knows.
    """

    prompt: str
    kind: Literal["object", "children", "free text"]
    object: BiomedicalObject | None
    parts: tuple[BiomedicalObject, ...]
    asked: tuple[str, ...]
    suggestions: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def published_vocabulary() -> frozenset[str]:
    """Return the words that BiomedParse v1 was trained with."""
    return frozenset(entry.published for entry in shipped().objects if entry.published)


def resolve(
    prompt: str, modality: str | None = None, site: str | None = None, vocabulary: Collection[str] | None = None
) -> Resolution:
    """Find out what a model is to be asked for a prompt.

    Parameters
    ----------
    prompt
        The user's words.
    modality, site
        Where it is looked for, as far as known.
    vocabulary
        The words that the model was trained with; None for one that takes any.
    """
    prompt = prompt.strip()
    found = find_object(prompt, modality, site)
    words = _Vocabulary(vocabulary, modality)
    said = words.word_for(found, prompt) if found else None
    if said:
        return Resolution(prompt, "object", found, (), (said,))
    parts = words.known_among(children_of(found) if found else _family(prompt))
    if parts:
        asked = tuple(dict.fromkeys(said for said in map(words.word_for, parts) if said))
        return Resolution(prompt, "children", found, parts, asked)
    return Resolution(
        prompt, "free text", found, (), (prompt,), _nearest(prompt, filter(words.knows, all_objects()), 5)
    )


def suggest(words: str, modality: str | None = None, limit: int = 5) -> tuple[str, ...]:
    """Return the names nearest to some words, or to the beginning of a word, best first, one per object.

    Parameters
    ----------
    words
        As far as they are typed.
    modality
        Leave out objects that do not occur in it.
    limit
        The most names to return.
    """
    kind = find_modality(modality) if modality else None
    return _nearest(words, [entry for entry in shipped().objects if kind is None or occurs_in(entry, kind)], limit)


class _Vocabulary:
    """The words that a model knows, looked at from one modality."""

    def __init__(self, words: Collection[str] | None, modality: str | None) -> None:
        self._words = None if words is None else {shipped().key(word) for word in words}
        self._modality = find_modality(modality) if modality else None

    def word_for(self, entry: BiomedicalObject, prompt: str | None = None) -> str | None:
        """Return what to call an object so that the model knows it, the prompt itself if possible, or None."""
        if self._words is None:
            return prompt or entry.name
        key = shipped().key
        if prompt and not self._words.isdisjoint({key(prompt), key(prompt).partition(" in ")[0]}):
            return prompt
        if entry.published and key(entry.published) in self._words:
            return self._in_its_place(entry, entry.published)
        return next((name for name in entry.names if key(name) in self._words), None)

    def _in_its_place(self, entry: BiomedicalObject, word: str) -> str:
        """Add site and modality to a word that several objects go by, as the published model was trained."""
        if _shared()[word] == 1:
            return word
        here = self._modality and occurs_in(entry, self._modality)
        return f"{word} in {entry.sites[0]} {self._modality.name if self._modality and here else entry.modalities[0]}"

    def knows(self, entry: BiomedicalObject) -> bool:
        """Return whether the model knows an object and it occurs here."""
        return (self._modality is None or occurs_in(entry, self._modality)) and self.word_for(entry) is not None

    def known_among(self, entries: Iterable[BiomedicalObject]) -> tuple[BiomedicalObject, ...]:
        """Return those that the model knows and that occur here; for one it does not know, its children it knows."""
        found: dict[BiomedicalObject, None] = {}
        for entry in entries:
            if self._modality is None or occurs_in(entry, self._modality):
                known = (entry,) if self.word_for(entry) else self.known_among(children_of(entry))
                found |= dict.fromkeys(known)
        inner = {below for entry in found for below in descendants_of(entry)}
        return tuple(entry for entry in found if entry not in inner)


@lru_cache(maxsize=1)
def _shared() -> Counter[str]:
    return Counter(entry.published for entry in shipped().objects if entry.published)


def _family(name: str) -> tuple[BiomedicalObject, ...]:
    """Return the members of the family that has this name."""
    family = shipped().by_family_name.get(shipped().key(name))
    return tuple(entry for entry in shipped().objects if family and entry.group == family.name)


def _nearest(words: str, entries: Iterable[BiomedicalObject], limit: int) -> tuple[str, ...]:
    typed = shipped().key(words)
    if not typed:
        return ()
    best = [
        max(((_likeness(typed, shipped().key(name)), name) for name in entry.names), key=_first) for entry in entries
    ]
    ranked = sorted((pair for pair in best if pair[0] >= SIMILAR), key=lambda pair: (-pair[0], len(pair[1])))
    return tuple(name for _, name in ranked[:limit])


def _first(pair: tuple[float, str]) -> float:
    return pair[0]


def _likeness(typed: str, name: str) -> float:
    """Return how well a name fits: above 2 if it begins with what is typed, above 1 if one of its words does."""
    share = len(typed) / max(len(name), 1)
    if name.startswith(typed):
        return 2 + share
    if f" {typed}" in name:
        return 1 + share
    matcher = SequenceMatcher(None, typed, name)
    return matcher.ratio() if matcher.real_quick_ratio() >= SIMILAR and matcher.quick_ratio() >= SIMILAR else 0.0
