"""From words to objects and kinds of images, and from an object to its relatives."""

from __future__ import annotations

from functools import lru_cache

from napari_biomedparse.ontology.objects import BiomedicalObject, Family, Modality, Scale
from napari_biomedparse.ontology.table import shipped

# Colours for free text, which the ontology has none for (Okabe and Ito's palette, told apart by colour-blind eyes).
FREE_TEXT_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
# What sides are called, which names begin with.
SIDES = {"left": "left", "lt": "left", "l": "left", "right": "right", "rt": "right", "r": "right"}


def all_objects() -> tuple[BiomedicalObject, ...]:
    """Return every object, in the order of the table."""
    return shipped().objects


def all_modalities() -> tuple[Modality, ...]:
    """Return every modality, in the order of the table."""
    return shipped().modalities


def all_families() -> tuple[Family, ...]:
    """Return every family, the published meta-objects first."""
    return shipped().families


def shown_together() -> dict[str, tuple[BiomedicalObject, ...]]:
    """Return which objects are shown in one image, by what they show."""
    table = shipped()
    return {what: tuple(table.by_id[name] for name in ids) for what, ids in table.shown_together.items()}


def normalise(prompt: str) -> str:
    """Return ``prompt`` in lower case with single spaces and none at the ends."""
    return " ".join(prompt.lower().split())


def find_object(prompt: str, modality: str | None = None, site: str | None = None) -> BiomedicalObject | None:
    """Return the object that a prompt names, or None for free text.

    Some words mean different things in different places. "Tumor" names the tumor of the given modality and site, or of
    those in the phrasing ``TARGET in SITE MODALITY``, and a tumor of any site where these do not tell. Where nothing is
    said, the object that has the word as a name counts: the one that the embedded model was trained on. Adjectives
    stand for their object: "renal tumor" is the "kidney tumor", and "renal" the "kidney". A side may be short and
    stand last: "kidney, lt" is the "left kidney". Words that leave out the site which the object's own name says, as
    "cancer" for a malignant breast tumor, name it only where it occurs, as far as that is said: a cancer of the liver
    is free text.

    Parameters
    ----------
    prompt
        The user's words, in any case and spelling that the table knows.
    modality, site
        Where it is looked for.
    """
    table = shipped()
    words = table.key(prompt)
    kind = find_modality(modality) if modality else None
    found = _in_context(words, kind, site) or table.by_name.get(words)
    if found is None:
        target, phrased, context = words.partition(" in ")
        if phrased:
            said, place = _split_context(context)
            found = find_object(target, modality or said, site or place)
    found = found or table.by_name.get(_nouns(_side_first(words))) or table.by_adjective.get(words)
    return found if found and (_occurs(found, kind, site) or not _needs_place(words, found)) else None


@lru_cache(maxsize=4096)
def names_in(entry: BiomedicalObject, modality: str, site: str) -> tuple[str, ...]:
    """Return the names that an object goes by in a modality and site, in the order of the table.

    They mean it there, or, where it occurs, it and others: a kidney stone is a "stone", as is a gallstone.
    """
    means = (entry, None) if _occurs(entry, find_modality(modality), site) else (entry,)
    return tuple(name for name in (*entry.names, *entry.in_context) if find_object(name, modality, site) in means)


def _occurs(entry: BiomedicalObject, kind: Modality | None, site: str | None) -> bool:
    """Return whether an object occurs in a modality and at a site, as far as these are known."""
    return (not site or occurs_at(entry, site)) and (kind is None or occurs_in(entry, kind))


def _needs_place(words: str, entry: BiomedicalObject) -> bool:
    """Return whether words may name something else elsewhere: they have several meanings, or leave out the site."""
    # What a cell is called does not depend on where it lies.
    if entry.scale not in ("organ", "tissue"):
        return False
    name, said = _nouns(shipped().key(entry.name)), _nouns(words)
    sites = [site for site in map(_place, entry.sites) if site in name and site != name]
    return words in shipped().by_context or (bool(sites) and not any(site in said for site in sites))


def _in_context(words: str, kind: Modality | None, site: str | None) -> BiomedicalObject | None:
    """Return what a word of several meanings names in a modality and site, of which one at least is known.

    Of an object and a kind of it that both occur, the kind is meant at a site where it does; where no site is said, the
    object that holds for all of them: "cancer cells" on pathology need not be the breast's.
    """
    table = shipped()
    if words not in table.by_context or (kind is None and not site):
        return None
    meanings = [*table.by_context[words], *filter(None, [table.by_name.get(words)])]
    here = [entry for entry in meanings if entry.modalities and _occurs(entry, kind, site)]
    relatives = descendants_of if site else ancestors_of
    here = [entry for entry in here if not set(relatives(entry)) & set(here)]
    anywhere = [entry for entry in meanings if not entry.modalities]
    return next(iter(here if len(here) == 1 else anywhere), None)


def _split_context(context: str) -> tuple[str | None, str | None]:
    """Split "abdomen ct" into a modality and a site; either may be missing."""
    words = context.split()
    for start in range(len(words)):
        kind = find_modality(" ".join(words[start:]))
        if kind:
            return kind.name, " ".join(words[:start]) or None
    return None, context or None


def _nouns(words: str) -> str:
    """Replace adjectives by the names of what they belong to."""
    adjectives = shipped().by_adjective
    return " ".join(shipped().key(adjectives[word].name) if word in adjectives else word for word in words.split())


def _side_first(words: str) -> str:
    """Return words with the side in front and in full."""
    parts = words.replace(",", " ").split()
    sides = [SIDES[part] for part in parts if part in SIDES]
    return " ".join([*sides, *(part for part in parts if part not in SIDES)])


def _place(site: str) -> str:
    """Return a site as a noun: "heart" for "cardiac"."""
    return _nouns(shipped().key(site))


def find_modality(name: str) -> Modality | None:
    """Return the modality that a name means, or None.

    Of a name with parts, as "X-Ray-Chest" or "MRI-FLAIR-Brain", the longest beginning that is known counts.
    """
    return place_of(name)[0]


def place_of(name: str) -> tuple[Modality | None, str]:
    """Return the modality and the site that a name such as "X-Ray-Chest" tells; the site is empty if it tells none."""
    words = shipped().key(name).split()
    known = shipped().by_modality_name
    for count in range(len(words), 0, -1):
        if (beginning := " ".join(words[:count])) in known:
            return known[beginning], " ".join(words[count:])
    return None, ""


def occurs_in(entry: BiomedicalObject, modality: Modality) -> bool:
    """Return whether an object occurs in a modality, its special cases or what it is a special case of."""
    table = shipped()
    names = {modality.name, modality.parent}
    parents = {table.by_modality_name[table.key(name)].parent for name in entry.modalities}
    return not entry.modalities or bool(names & {*entry.modalities}) or modality.name in parents


def occurs_at(entry: BiomedicalObject, site: str) -> bool:
    """Return whether an object occurs at a site, by any of the site's names; one of no site occurs anywhere."""
    return not entry.sites or _place(site) in map(_place, entry.sites)


def scale_of(prompt: str) -> Scale:
    """Return the scale at which a prompt's object is seen; free text is looked for on the whole image.

    A gland of any site is as large as one that is known.
    """
    found = find_object(prompt) or find_object(shipped().key(prompt).partition(" in ")[0])
    return found.scale if found else "organ"


def colour_of(prompt: str, number: int) -> str:
    """Return the colour of a prompt's object, or for free text the ``number``-th of a fixed set, as ``#rrggbb``."""
    found = find_object(prompt)
    return found.colour if found else FREE_TEXT_COLOURS[(number - 1) % len(FREE_TEXT_COLOURS)]


def parents_of(entry: BiomedicalObject) -> tuple[BiomedicalObject, ...]:
    """Return what an object is a kind or a piece of."""
    return tuple(shipped().by_id[name] for name in entry.parents)


def children_of(entry: BiomedicalObject) -> tuple[BiomedicalObject, ...]:
    """Return the kinds or pieces of an object."""
    return shipped().children.get(entry.id, ())


def ancestors_of(entry: BiomedicalObject) -> tuple[BiomedicalObject, ...]:
    """Return parents, their parents and so on, nearest first, each once."""
    found = dict.fromkeys(parents_of(entry))
    for parent in parents_of(entry):
        found |= dict.fromkeys(ancestors_of(parent))
    return tuple(found)


def descendants_of(entry: BiomedicalObject) -> tuple[BiomedicalObject, ...]:
    """Return children, their children and so on, each once."""
    found = dict.fromkeys(children_of(entry))
    for child in children_of(entry):
        found |= dict.fromkeys(descendants_of(child))
    return tuple(found)
