"""What an object, a family of objects and a kind of image are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scale = Literal["organ", "tissue", "cell", "organelle"]


@dataclass(frozen=True)
class BiomedicalObject:
    """One thing that can be asked for.

    Attributes
    ----------
    id
        Stable identifier.
    name
        Its main name.
    synonyms, plurals
        Other names, and the plural forms of all names. No two objects share a name.
    adjectives
        What belongs to it is called so: "hepatic" for the liver.
    in_context
        Names that it only goes by where modality or site are known: "tumor" is the liver's on CT of the liver. Several
        objects may share one.
    parents
        Identifiers of what it is a kind of, or a piece of: children together make up their parent.
    group
        Name of its family.
    scale
        ``"organ"`` for what is seen on the whole image; ``"tissue"``, ``"cell"`` and ``"organelle"`` for ever smaller
        things.
    modalities, sites
        Where it occurs. None means anywhere.
    published
        The word that BiomedParse v1 was trained with, misspellings included; None for what it does not know. Several
        objects may share one, which the site then tells apart.
    codes
        In public terminologies, as ``"UBERON:0002107"``: UBERON, CL (Cell Ontology), GO, SCT (SNOMED CT), NCIT.
    colour
        ``#rrggbb``, the same in every image.
    """

    id: str
    name: str
    group: str
    scale: Scale
    colour: str
    synonyms: tuple[str, ...] = ()
    plurals: tuple[str, ...] = ()
    adjectives: tuple[str, ...] = ()
    in_context: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    published: str | None = None
    codes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The main name, synonyms and plurals: whatever names it without further context."""
        return (self.name, *self.synonyms, *self.plurals)


@dataclass(frozen=True)
class Family:
    """A family of objects.

    Attributes
    ----------
    name
        Its name, which an object has as its ``group``.
    sector
        What it belongs to: organ, abnormality, histology, microscopy, other.
    meta
        The published meta-object that it is, or None for families that were added.
    synonyms
        Other names.
    """

    name: str
    sector: str
    meta: str | None = None
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Modality:
    """A kind of image.

    Attributes
    ----------
    name
        Its name, as in file names of BiomedParse's layout.
    synonyms
        Other names.
    parent
        Name of the modality it is a special case of.
    published
        Whether BiomedParse v1 was trained on it.
    """

    name: str
    synonyms: tuple[str, ...] = ()
    parent: str | None = None
    published: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The name and its synonyms."""
        return (self.name, *self.synonyms)
