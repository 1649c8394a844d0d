"""Fuller phrasings of a prompt, as the published model was trained: ``TARGET in SITE MODALITY``."""

from __future__ import annotations

from napari_biomedparse.ontology.lookup import find_modality, find_object, occurs_in
from napari_biomedparse.ontology.objects import BiomedicalObject, Modality
from napari_biomedparse.ontology.table import shipped


def templates(prompt: str, modality: str | None) -> list[str]:
    """Return phrasings that say where a prompt's object is looked for.

    All name what the prompt may mean in the modality: for a word of several meanings, as "tumor", the site tells which.

    Parameters
    ----------
    prompt
        The user's words. Where it is looked for, if it is said already, is replaced.
    modality
        The kind of image; None, or one that is not known, gives no phrasings.

    Returns
    -------
    list of str
        The target with the modality, then with each site of the object too, without the prompt itself. Empty for an
        object that does not occur in the modality. Free text, which has no sites, gets the modality only.
    """
    kind = find_modality(modality) if modality else None
    words = " ".join(prompt.split())
    target = _target(words)
    if kind is None or not target:
        return []
    meanings = _meanings(target, kind)
    if not meanings and find_object(target) is not None:
        return []
    sites = dict.fromkeys(site for entry in meanings for site in entry.sites)
    phrasings = [f"{target} in {kind.name}", *(f"{target} in {site} {kind.name}" for site in sites)]
    known = [found for found in phrasings if not meanings or find_object(found) in meanings]
    return [found for found in known if shipped().key(found) != shipped().key(words)]


def _target(words: str) -> str:
    """Return the words without the place, as far as "in" is followed by one."""
    target, _, place = words.partition(" in ")
    ends = place.split()
    placed = find_object(words) or any(find_modality(" ".join(ends[start:])) for start in range(len(ends)))
    return target if placed and shipped().key(words) not in shipped().by_name else words


def _meanings(target: str, kind: Modality) -> list[BiomedicalObject]:
    """Return the objects of a modality that go by a name."""
    entries = [find_object(target, kind.name), *shipped().by_context.get(shipped().key(target), [])]
    here = dict.fromkeys(entry for entry in entries if entry and occurs_in(entry, kind))
    # An object that occurs anywhere ("tumor of any site") stands aside for those that are named here.
    named = [entry for entry in here if entry.modalities]
    return named or list(here)
