"""The table of objects in ``resources/ontology/objects.json`` and the way from a prompt to one of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

Scale = Literal["organ", "tissue", "cell", "organelle"]
# Colours for free text, which the ontology has none for (Okabe and Ito's palette, told apart by colour-blind eyes).
FREE_TEXT_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")


@dataclass(frozen=True)
class BiomedicalObject:
    """One thing that can be asked for.

    Attributes
    ----------
    id
        Stable identifier.
    names
        Its name, then synonyms and plurals.
    group
        The family it belongs to; families share a hue.
    scale
        ``"cell"`` for what needs the image's own pixel size, ``"organ"`` for what is seen on the whole image.
    colour
        ``#rrggbb``, the same in every image.
    """

    id: str
    names: tuple[str, ...]
    group: str
    scale: Scale
    colour: str

    @property
    def name(self) -> str:
        """The main name."""
        return self.names[0]


@lru_cache(maxsize=1)
def all_objects() -> tuple[BiomedicalObject, ...]:
    """Return every object, in the order of the table."""
    table = files("napari_biomedparse").joinpath("resources/ontology/objects.json")
    rows = json.loads(table.read_text(encoding="utf-8"))
    return tuple(BiomedicalObject(**{**row, "names": tuple(row["names"])}) for row in rows)


@lru_cache(maxsize=1)
def _by_name() -> Mapping[str, BiomedicalObject]:
    return MappingProxyType({normalise(name): entry for entry in all_objects() for name in entry.names})


def normalise(prompt: str) -> str:
    """Return ``prompt`` in lower case with single spaces and none at the ends."""
    return " ".join(prompt.lower().split())


def find_object(prompt: str) -> BiomedicalObject | None:
    """Return the object that a prompt names, or None for free text.

    The whole prompt is looked up first, then its target in the phrasing ``TARGET in SITE MODALITY``.

    Parameters
    ----------
    prompt
        The user's words.
    """
    words = normalise(prompt)
    return _by_name().get(words) or _by_name().get(words.partition(" in ")[0])


def scale_of(prompt: str) -> Scale:
    """Return the scale at which a prompt's object is seen; free text is looked for on the whole image."""
    found = find_object(prompt)
    return found.scale if found else "organ"


def colour_of(prompt: str, number: int) -> str:
    """Return the colour of a prompt's object, or for free text the ``number``-th of a fixed set, as ``#rrggbb``."""
    found = find_object(prompt)
    return found.colour if found else FREE_TEXT_COLOURS[(number - 1) % len(FREE_TEXT_COLOURS)]
