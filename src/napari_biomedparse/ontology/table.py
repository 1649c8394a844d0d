"""The ontology as a checked whole, read from ``resources/ontology/objects.json``."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any, TypeVar, get_args

from napari_biomedparse.errors import BiomedParseError
from napari_biomedparse.ontology.objects import BiomedicalObject, Family, Modality, Scale

Entry = TypeVar("Entry", BiomedicalObject, Family, Modality)

CODE = re.compile(r"(UBERON|CL|GO):\d{7}|SCT:\d{6,18}|NCIT:C\d+")
COLOUR = re.compile("#[0-9a-f]{6}")


class OntologyError(BiomedParseError):
    """A table of objects that contradicts itself; the message names the place."""


@dataclass(frozen=True)
class Ontology:
    """All that is known of names, checked when it is made.

    Attributes
    ----------
    objects, families, modalities
        In the order of the file.
    spellings
        Spelling -> the one it is looked up as, for parts of words that are written in several ways.
    shown_together
        What -> identifiers of objects that are shown in one image, so that their colours must differ.

    Raises
    ------
    OntologyError
        If an identifier or name occurs twice, if something refers to what is not there, if parents form a circle, or if
        a scale, colour or code is none.
    """

    objects: tuple[BiomedicalObject, ...]
    families: tuple[Family, ...]
    modalities: tuple[Modality, ...]
    spellings: Mapping[str, str]
    shown_together: Mapping[str, tuple[str, ...]]

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Ontology:
        """Make an ontology from the content of its file."""
        try:
            return cls(
                _entries(BiomedicalObject, content["objects"]),
                _entries(Family, content["families"]),
                _entries(Modality, content["modalities"]),
                dict(content["spellings"]),
                {what: tuple(ids) for what, ids in content["shown_together"].items()},
            )
        except KeyError as error:
            raise OntologyError(f"The ontology has no part {error}.") from error

    def __post_init__(self) -> None:
        _unique("identifier", [(f"entry {number}", entry.id) for number, entry in enumerate(self.objects, start=1)])
        _unique("family", [(f"entry {number}", entry.name) for number, entry in enumerate(self.families, start=1)])
        _unique("name", [(entry.id, self.key(name)) for entry in self.objects for name in entry.names])
        _unique("adjective", [(entry.id, self.key(word)) for entry in self.objects for word in entry.adjectives])
        _unique("modality", [(entry.name, self.key(name)) for entry in self.modalities for name in entry.names])
        for entry in self.objects:
            self._check(entry)
        for modality in self.modalities:
            _known("modality", filter(None, [modality.parent]), self._modality_names, modality.name)
        for what, ids in self.shown_together.items():
            _known("object", ids, self.by_id, what)
        self._check_circles()

    def _check(self, entry: BiomedicalObject) -> None:
        if entry.scale not in get_args(Scale):
            raise OntologyError(
                f"{entry.id} has the scale {entry.scale!r}; choose one of {', '.join(get_args(Scale))}."
            )
        if not COLOUR.fullmatch(entry.colour):
            raise OntologyError(f"{entry.id} has the colour {entry.colour!r}; write it as #rrggbb in lower case.")
        for code in entry.codes:
            if not CODE.fullmatch(code):
                raise OntologyError(f"{entry.id} has the code {code!r}; write it as TERMINOLOGY:NUMBER.")
        if entry.published and not (entry.modalities and entry.sites):
            raise OntologyError(f"{entry.id} has a published word; name its modalities and sites, which go with it.")
        _known("object", entry.parents, self.by_id, entry.id)
        _known("modality", entry.modalities, self._modality_names, entry.id)
        _known("family", [entry.group], {family.name for family in self.families}, entry.id)

    def _check_circles(self) -> None:
        finished: set[str] = set()

        def visit(entry: BiomedicalObject, way: tuple[str, ...]) -> None:
            if entry.id in way:
                raise OntologyError(f"Parents form a circle: {' > '.join((*way[way.index(entry.id) :], entry.id))}.")
            if entry.id not in finished:
                for parent in entry.parents:
                    visit(self.by_id[parent], (*way, entry.id))
                finished.add(entry.id)

        for entry in self.objects:
            visit(entry, ())

    @cached_property
    def _modality_names(self) -> set[str]:
        return {modality.name for modality in self.modalities}

    @cached_property
    def by_id(self) -> dict[str, BiomedicalObject]:
        """Identifier -> object."""
        return {entry.id: entry for entry in self.objects}

    @cached_property
    def by_name(self) -> dict[str, BiomedicalObject]:
        """Key of a name -> object."""
        return {self.key(name): entry for entry in self.objects for name in entry.names}

    @cached_property
    def by_adjective(self) -> dict[str, BiomedicalObject]:
        """Key of an adjective -> object."""
        return {self.key(word): entry for entry in self.objects for word in entry.adjectives}

    @cached_property
    def by_context(self) -> dict[str, list[BiomedicalObject]]:
        """Key of a name that needs context -> the objects it may mean."""
        found: dict[str, list[BiomedicalObject]] = defaultdict(list)
        for entry in self.objects:
            for word in {self.key(word) for word in entry.in_context}:
                found[word].append(entry)
        return dict(found)

    @cached_property
    def by_modality_name(self) -> dict[str, Modality]:
        """Key of a modality's name -> modality."""
        return {self.key(name): entry for entry in self.modalities for name in entry.names}

    @cached_property
    def by_family_name(self) -> dict[str, Family]:
        """Key of a family's name -> family."""
        return {self.key(name): entry for entry in self.families for name in (entry.name, *entry.synonyms)}

    @cached_property
    def children(self) -> dict[str, tuple[BiomedicalObject, ...]]:
        """Identifier -> the objects that have it as a parent."""
        found: dict[str, list[BiomedicalObject]] = defaultdict(list)
        for entry in self.objects:
            for parent in entry.parents:
                found[parent].append(entry)
        return {parent: tuple(entries) for parent, entries in found.items()}

    def key(self, words: str) -> str:
        """Return how words are looked up: in lower case, one spelling, single spaces, and without hyphens."""
        key = " ".join(re.sub("[-_]", " ", words.lower()).split())
        for spelling, other in self.spellings.items():
            key = key.replace(spelling, other)
        return key


@lru_cache(maxsize=1)
def shipped() -> Ontology:
    """Return the ontology that comes with the package."""
    table = files("napari_biomedparse").joinpath("resources/ontology/objects.json")
    return Ontology.from_json(json.loads(table.read_text(encoding="utf-8")))


def _entries(kind: type[Entry], rows: Iterable[Mapping[str, Any]]) -> tuple[Entry, ...]:
    entries = []
    for row in rows:
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in row.items()
        }
        try:
            entries.append(kind(**fields))
        except TypeError as error:
            raise OntologyError(f"An entry of the ontology is incomplete or has one field too many: {row}.") from error
    return tuple(entries)


def _unique(what: str, pairs: Iterable[tuple[str, str]]) -> None:
    """Refuse a value that two owners have."""
    owners: dict[str, str] = {}
    for owner, value in pairs:
        if owners.setdefault(value, owner) != owner:
            raise OntologyError(f"The {what} {value!r} occurs twice: {owners[value]}, {owner}.")


def _known(what: str, names: Iterable[str], known: Iterable[str], where: str) -> None:
    missing = [name for name in names if name not in known]
    if missing:
        raise OntologyError(f"{where} refers to the unknown {what} {', '.join(missing)}.")
