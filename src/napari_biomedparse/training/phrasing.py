"""Words for training: what an object may be called, what is not in an image, and what means nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files

import numpy as np

from napari_biomedparse.ontology import Scale, all_objects, find_modality, find_object, normalise, scale_of
from napari_biomedparse.ontology.lookup import names_in
from napari_biomedparse.training.calibrate import modality_name
from napari_biomedparse.training.dataset import Example
from napari_biomedparse.training.kinds import absent_from

# How often a target is said alone, with its modality, and with site and modality (as published).
PHRASINGS = (0.6, 0.15, 0.25)
# Share of phrases with a slip of the pen.
SLIPS = 0.08
# Share of absent prompts that name nothing at all.
NONSENSE = 0.3


class Phrasing:
    """Say what is, and what is not, in an image, differently each time.

    Parameters
    ----------
    examples
        All training examples: what is annotated in a modality or at a site is never asked as absent there.
    """

    def __init__(self, examples: Iterable[Example]) -> None:
        self._annotated: dict[str, set[str]] = defaultdict(set)
        for example in examples:
            self._annotated[modality_name(example)].update(example.masks)
        self._absent: dict[tuple[str, str, Scale], list[list[str]]] = {}

    def present(self, target: str, example: Example, rng: np.random.Generator) -> str:
        """Name an object of an image."""
        found = find_object(target, example.modality, example.site)
        # Its own word, the one it is tested by, is kept half the time.
        names = names_in(found, example.modality, example.site) if found else ()
        words = str(rng.choice(names)) if names and rng.random() < 0.5 else target
        return self._dress(words, example, rng)

    def absent(self, example: Example, scale: Scale, rng: np.random.Generator) -> str:
        """Name something of a scale that an image does not show."""
        if rng.random() < NONSENSE:
            return nonsense(rng)
        choices = self._absent_from(example, scale)
        if not choices:
            return nonsense(rng)
        words = str(rng.choice(choices[rng.integers(len(choices))]))
        found = find_object(words)
        names = names_in(found, example.modality, example.site) if found else ()
        words = str(rng.choice(names)) if names and rng.random() < 0.5 else words
        return self._dress(words, example, rng)

    def _absent_from(self, example: Example, scale: Scale) -> list[list[str]]:
        """Return names of what an image of this modality and site does not show: of what others do, and of anything."""
        place = example.modality, example.site, scale
        if place not in self._absent:
            others = {target for targets in self._annotated.values() for target in targets}
            # What an image of a kind that is not known may show is not known.
            known = {entry.name for entry in all_objects()} if find_modality(example.modality) else set()
            absent = [sorted(absent_from(example, names, self._annotated)) for names in (others, known)]
            chosen = [[n for n in names if scale_of(n) == scale] for names in absent]
            self._absent[place] = [names for names in chosen if names]
        return self._absent[place]

    @staticmethod
    def _dress(words: str, example: Example, rng: np.random.Generator) -> str:
        if rng.random() < SLIPS:
            words = misspell(words, rng)
        modality = example.modality
        phrasings = (words, f"{words} in {modality}", f"{words} in {example.site} {modality}")
        return normalise(phrasings[rng.choice(3, p=PHRASINGS)])


def is_microscopy(modality: str) -> bool:
    """Return whether a modality shows cells rather than organs."""
    return "microscopy" in modality or modality == "pathology"


def misspell(words: str, rng: np.random.Generator) -> str:
    """Drop, double or swap one letter of a long word; short ones stay."""
    place = int(rng.integers(1, max(2, len(words) - 1)))
    if len(words) < 5 or not words[place - 1 : place + 1].isalpha():
        return words
    kind = rng.integers(3)
    if kind == 0:
        return words[:place] + words[place + 1 :]
    if kind == 1:
        return words[:place] + words[place] + words[place:]
    return words[: place - 1] + words[place] + words[place - 1] + words[place + 1 :]


@lru_cache(maxsize=1)
def everyday_words() -> tuple[str, ...]:
    """Return words that name nothing in a biomedical image."""
    table = files("napari_biomedparse").joinpath("resources/training/everyday_words.txt")
    return tuple(table.read_text(encoding="utf-8").split())


def nonsense(rng: np.random.Generator) -> str:
    """Return one to three everyday words, or letters at random."""
    if rng.random() < 0.7:
        return " ".join(str(word) for word in rng.choice(everyday_words(), rng.integers(1, 4)))
    letters = rng.choice(list("abcdefghijklmnopqrstuvwxyz"), rng.integers(3, 10))
    return "".join(str(letter) for letter in letters)
