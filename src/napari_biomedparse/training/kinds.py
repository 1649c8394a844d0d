"""What counts as the same: modalities of one family, a model's list and an image, two names of one object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

from napari_biomedparse.ontology import RecognitionTable, ancestors_of, find_modality, find_object, normalise, occurs_in
from napari_biomedparse.training.calibrate import modality_name
from napari_biomedparse.training.dataset import Example

# Sites and modalities that the published lists call otherwise than the published data.
_SITES = {"heart": "cardiac", "lung": "chest"}
_MODALITIES = {"endoscope": "endoscopy"}


def family(modality: str) -> str:
    """Return the modality that one is a special case of: ``"MRI"`` for ``"MRI-T1-Gd"``. The paper counts nine of them.

    One that is not known is its own.
    """
    found = find_modality(modality)
    return modality if found is None else family(found.parent) if found.parent else found.name


def list_of(example: Example, table: RecognitionTable) -> str | None:
    """Return which of a table's lists is that of an image, or None if none is.

    It is called by modality and site, as in ``"X-Ray-Chest"``, or by the modality alone, as in ``"Pathology"``.
    """
    site = _SITES.get(example.site, example.site)
    modality = _MODALITIES.get(example.modality, example.modality)
    wanted = (modality_name(example), f"{modality}-{site}", modality)
    known = {name.lower(): name for name in table.lists}
    return next((known[name.lower()] for name in wanted if name.lower() in known), None)


def is_family(name: str, example: Example) -> bool:
    """Return whether a list's name begins with the modality of an image, whatever its sequence and site."""
    modality = family(example.modality).lower()
    begins = {modality, _MODALITIES.get(modality, modality)}
    return any(f"{name.lower()}-".startswith(f"{each}-") for each in begins)


def is_site(name: str, example: Example) -> bool:
    """Return whether a list's name ends with the site of an image, by whichever of the site's names."""
    site = example.site.lower()
    alike = {site, _SITES.get(site, site), *(ours for ours, theirs in _SITES.items() if theirs == site)}
    return any(name.lower().endswith(f"-{each}") for each in alike)


def identity(name: str) -> str:
    """Return what two names of one object have in common: its identifier, or for free text the words."""
    found = find_object(name)
    return found.id if found else normalise(name)


def absent_from(example: Example, names: Iterable[str], annotated: Mapping[str, Iterable[str]]) -> set[str]:
    """Return those of some names that are of nothing which an image may show, as far as that is known.

    It may show what sets of its modality or of its site annotate, what that is a kind or a piece of, and what occurs in
    its modality: a CT of the abdomen may well show the liver that only an MRI set annotates.

    Parameters
    ----------
    example
        The image.
    names
        Of objects, however spelled.
    annotated
        Modality and site, as in ``"X-Ray-Chest"`` -> names of what is annotated, or looked for, in such images.
    """
    related = (targets for name, targets in annotated.items() if is_family(name, example) or is_site(name, example))
    targets = set(chain(example.masks, *related))
    known = filter(None, map(find_object, targets))
    shown = {identity(target) for target in targets} | {wider.id for each in known for wider in ancestors_of(each)}
    kind = find_modality(example.modality)
    absent = {normalise(name) for name in names if identity(name) not in shown}
    return {name for name in absent if not (kind and (found := find_object(name)) and occurs_in(found, kind))}
