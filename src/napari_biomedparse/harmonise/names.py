"""From a noisy label to an object of the ontology, without a language model."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rapidfuzz import fuzz, process

from napari_biomedparse.ontology import (
    BiomedicalObject,
    all_families,
    all_objects,
    find_modality,
    find_object,
    normalise,
    occurs_in,
)

How = Literal["name", "spelling", "site", "elsewhere", "similar", "background", "nothing", "language model"]

SIDES: Mapping[str, str] = {
    **{"l": "left", "lt": "left", "lft": "left", "r": "right", "rt": "right", "rgt": "right"},
    **{"ant": "anterior", "post": "posterior", "inf": "inferior", "sup": "superior"},
}
# Words that names begin with, wherever a label has them: "kidney_left".
FIRST = frozenset(["left", "right", "anterior", "posterior", "benign", "malignant"])
# Abbreviations of data sets' files that stand for a whole label, and where they do.
ABBREVIATIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "myo": ("myocardium", ("heart",)),
    "et": ("enhancing tumor", ("brain",)),
    "tc": ("tumor core", ("brain",)),
    "wt": ("whole tumor", ("brain",)),
    "ed": ("edema", ("brain",)),
    "od": ("optic disc", ("retina", "eye", "fundus")),
    "oc": ("optic cup", ("retina", "eye", "fundus")),
    "gb": ("gallbladder", ("abdomen", "liver")),
}
FILLERS = frozenset(
    [
        *("a", "an", "the", "of"),
        *("mask", "masks", "seg", "segs", "segmentation", "label", "labels", "gt", "roi", "annotation", "manual"),
    ]
)
NOTHING = frozenset(["background", "bg", "unlabeled", "unlabelled", "unknown", "ignore", "void", "outside"])
# Words that turn a name into another object's: names that differ in them are not similar.
TURNS = FIRST | frozenset(
    [
        *("upper", "middle", "lower", "inferior", "superior", "inner", "outer", "peripheral", "transitional"),
        *("whole", "core", "head", "tail", "red", "white", "non", "not", "no", "neoplastic", "enhancing"),
    ]
)
# Sites with so many organs that "tumor" or "cyst" alone does not tell whose it is.
REGIONS = frozenset(["abdomen", "pelvis", "chest", "thorax", "head", "neck", "body", "whole body", "tissue"])
# Sites that stand for any: there, full names of organs and tissues mean what they mean at their own.
ANYWHERE = frozenset(["body", "whole body", "tissue"])
# Similarity from which a name is proposed at all.
SIMILAR = 0.7


@dataclass(frozen=True)
class Context:
    """Where a label is used: the source's modality and site."""

    modality: str
    site: str


@dataclass(frozen=True)
class Proposal:
    """What a label is taken to mean.

    Attributes
    ----------
    label
        As the source writes it.
    found
        The object of the ontology, or None.
    how
        ``"name"``: one of its names. ``"spelling"``: one, but for order, abbreviation and what does not matter.
        ``"site"``: one, with the source's site before it. ``"elsewhere"``: one, but of an object of another site or
        modality, or one of several, or an adjective. ``"similar"``: like one. ``"background"``: no object.
        ``"nothing"``: none is like it. ``"language model"``: a language model says so.
    score
        How sure that is, 0 to 1.
    """

    label: str
    found: BiomedicalObject | None
    how: How
    score: float


def propose(label: str, context: Context) -> Proposal:
    """Propose an object for a label, for example for ``"kidney_L"`` in the abdomen."""
    words = _words(label)
    if words in NOTHING:
        return Proposal(label, None, "background", 1.0)
    doubtful = None
    for spelling, how, score in _spellings(label, words, context):
        found = find_object(spelling, context.modality, context.site)
        if found and _shows(context, found) and (how == "site" or _is_here(found, spelling, context)):
            return Proposal(label, found, how, score)
        doubtful = doubtful or found or find_object(spelling)
    if doubtful:
        return Proposal(label, doubtful, "elsewhere", 0.5)
    return _similar(label, words, context)


def resolve(words: str, context: Context) -> BiomedicalObject | None:
    """Return the object that a target means in a context, or None for free text."""
    proposal = propose(words, context)
    return proposal.found if proposal.how in ("name", "spelling", "site") else None


def target_name(entry: BiomedicalObject, context: Context) -> str:
    """Return what an object is called in file names: its published word where that means it, else its name."""
    return entry.published if entry.published and resolve(entry.published, context) == entry else entry.name


def _spellings(label: str, words: str, context: Context) -> Iterator[tuple[str, How, float]]:
    """Yield what a label may stand for, the surest first."""
    yield normalise(label), "name", 1.0
    name, sites = ABBREVIATIONS.get(words, ("", ()))
    if any(_same_site(context.site, site) for site in sites):
        yield name, "spelling", 0.95
    yield words, "spelling", 0.95
    sided = _sides_first(words)
    if sided != words:
        yield sided, "spelling", 0.95
    if words not in _adjectives():
        yield f"{context.site} {words}", "site", 0.9


def _shows(context: Context, entry: BiomedicalObject) -> bool:
    kind = find_modality(context.modality)
    return kind is None or occurs_in(entry, kind)


def _is_here(entry: BiomedicalObject, spelling: str, context: Context) -> bool:
    """Return whether a word means an object in a context for sure.

    It does where the object occurs. Elsewhere, what is wrong there has another name or is another object, as a hematoma
    of the abdomen is no hemorrhage of the brain; but organs keep their name, and so does what names its site itself.
    """
    word = normalise(spelling)
    if word in _adjectives():
        return False
    several = len(_meanings().get(word, ())) > 1
    if several and context.site.lower() in REGIONS:
        return False
    if not entry.sites or any(_same_site(context.site, known) for known in entry.sites):
        return True
    # "Polyp" of "colon polyp" is another object's word elsewhere.
    if several or set(word.split()) < set(normalise(entry.name).split()) or len(word) <= 3:
        return False
    # What a cell is called does not depend on where it lies.
    if entry.scale in ("cell", "organelle") or set(word.split()) & {normalise(site) for site in entry.sites}:
        return True
    main = word in map(normalise, (entry.name, *entry.plurals))
    sector = _sectors().get(entry.group)
    return sector != "abnormality" and (normalise(context.site) in ANYWHERE or (sector == "organ" and main))


def _same_site(site: str, known: str) -> bool:
    named = find_object(site)
    return normalise(site) == normalise(known) or (named is not None and named == find_object(known))


def _similar(label: str, words: str, context: Context) -> Proposal:
    wanted = _sides_first(words)
    names = {name: entry for name, entry in _names().items() if _shows(context, entry)}
    for name, score, _ in process.extract(wanted, list(names), scorer=fuzz.ratio, limit=5, score_cutoff=SIMILAR * 100):
        if TURNS & set(_words(name).split()) == TURNS & set(wanted.split()) and _is_here(names[name], name, context):
            return Proposal(label, names[name], "similar", round(score / 100, 2))
    return Proposal(label, None, "nothing", 0.0)


def _words(label: str) -> str:
    """Return the label's words in lower case: split at signs, capitals and digits, without fillers and numbers."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])", " ", label)
    parts = re.findall(r"[^\W_]+", spaced.lower())
    kept = [part for part in parts if part not in FILLERS and not part.isdigit()]
    return " ".join(SIDES.get(part, part) if len(kept) > 1 else part for part in kept or parts)


def _sides_first(words: str) -> str:
    parts = words.split()
    return " ".join(sorted(parts, key=lambda part: part not in FIRST))


@lru_cache(maxsize=1)
def _names() -> Mapping[str, BiomedicalObject]:
    return {normalise(name): entry for entry in all_objects() for name in entry.names}


@lru_cache(maxsize=1)
def _adjectives() -> frozenset[str]:
    """Return the words that belong to an object and name none: "neoplastic" may be a cell or a region."""
    return frozenset(normalise(word) for entry in all_objects() for word in entry.adjectives) - _names().keys()


@lru_cache(maxsize=1)
def _sectors() -> Mapping[str, str]:
    return {family.name: family.sector for family in all_families()}


@lru_cache(maxsize=1)
def _meanings() -> Mapping[str, frozenset[str]]:
    """Return name -> identifiers of the objects that it may mean."""
    found: dict[str, set[str]] = defaultdict(set)
    for entry in all_objects():
        for name in (*entry.names, *entry.in_context):
            found[normalise(name)].add(entry.id)
    return {name: frozenset(ids) for name, ids in found.items()}
