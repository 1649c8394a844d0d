"""What counts as the same: modalities of one family, a model's list and an image, two names of one object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import chain

from napari_biomedparse.ontology import (
    BiomedicalObject,
    RecognitionTable,
    all_objects,
    ancestors_of,
    descendants_of,
    find_modality,
    find_object,
    normalise,
    occurs_at,
    occurs_in,
)
from napari_biomedparse.training.calibrate import modality_name
from napari_biomedparse.training.dataset import Example

# Sites and modalities that the published lists call otherwise than the published data.
_SITES = {"heart": "cardiac", "lung": "chest"}
_MODALITIES = {"endoscope": "endoscopy"}
# Modalities that see through the body, and so what lies next to the site too.
SCANS = frozenset(["CT", "MRI", "X-Ray", "ultrasound"])
# Sites -> the parts of the body they lie in, numbered from head to foot: an image may show the next ones as well.
HEAD, NECK, CHEST, ABDOMEN, PELVIS, LEG = range(6)
_REGIONS: Mapping[str, frozenset[int]] = {
    site: frozenset(parts)
    for sites, parts in (
        (("head", "brain", "eye", "retinal", "retina", "mouth"), [HEAD]),
        (("head neck",), [HEAD, NECK]),
        (("neck", "thyroid"), [NECK]),
        (("chest", "thorax", "lung", "heart", "breast", "arm"), [CHEST]),
        (("esophagus", "oesophagus"), [NECK, CHEST, ABDOMEN]),
        (("abdomen", "liver", "kidney", "pancreas", "gallbladder", "stomach", "adrenal gland"), [ABDOMEN]),
        (("colon",), [ABDOMEN, PELVIS]),
        (("pelvis", "prostate", "bladder", "uterus", "cervix", "ovarian", "testis", "transperineal"), [PELVIS]),
        (("leg", "knee"), [LEG]),
        (("spine", "spinal cord"), [NECK, CHEST, ABDOMEN, PELVIS]),
    )
    for site in sites
}
_FETUS = frozenset([ABDOMEN, PELVIS])
# Sites of an image that do not say from which organ it is.
_NO_ORGAN = frozenset(["cell", "tissue", "blood", "culture", "body"])
# Sites that are called, or seen, as one.
_ONE_SITE = (frozenset(["retinal", "retina", "eye"]), frozenset(["spine", "spinal cord"]))


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

    It may show what sets of its modality or of its site annotate, what that is a kind or a piece of, and its kinds and
    pieces. It may also show what is seen in its modality, and whatever lies at its site or next to it: a CT of the
    abdomen may well show the liver that only an MRI set annotates, and an MRI of the heart the lungs. A scan of the
    brain shows neither, as both lie elsewhere. Names that mean something else there, or nothing, as "tumor" on a fundus
    photograph, are left out.

    Parameters
    ----------
    example
        The image.
    names
        Of objects, however spelled.
    annotated
        Modality and site, as in ``"X-Ray-Chest"`` -> names of what is annotated, or looked for, in such images.
    """
    words, objects = _shown(example, annotated)
    return {
        name
        for name in map(normalise, names)
        if (found := find_object(name)) == find_object(name, example.modality, example.site)
        and (name not in words if found is None else found.id not in objects and not _may_show(example, found))
    }


def _shown(example: Example, annotated: Mapping[str, Iterable[str]]) -> tuple[set[str], set[str]]:
    """Return words that name no object, and identifiers of the objects, of what an image and related ones show."""
    shown: list[tuple[tuple[str, str], Iterable[str], bool]] = [((example.modality, example.site), example.masks, True)]
    for name, targets in annotated.items():
        at_site = is_site(name, example)
        if at_site or is_family(name, example):
            shown.append((_place(name), targets, at_site))
    words: set[str] = set()
    objects: set[str] = set()
    for place, targets, here in shown:
        for target in targets:
            found = find_object(target, *place)
            if found is None:
                words.add(normalise(target))
                continue
            # What is annotated at a site is there, wherever the ontology has it; its kinds need not be.
            objects.update(entry.id for entry in (found, *ancestors_of(found)) if here or not _is_far(example, entry))
            objects.update(entry.id for entry in descendants_of(found) if not _is_far(example, entry))
    return words, objects


def _place(name: str) -> tuple[str, str]:
    """Return the modality and the site of which a list's name is made: the shortest beginning that says the first."""
    parts, kind = name.split("-"), find_modality(name)
    for count in range(1, len(parts) + 1):
        modality = "-".join(parts[:count])
        if find_modality(modality) == kind:
            return modality, "-".join(parts[count:]).lower()
    return name, ""


def _may_show(example: Example, entry: BiomedicalObject) -> bool:
    """Return whether an image may show an object that nobody has annotated in images like it."""
    kind = find_modality(example.modality)
    if kind is None:
        return False
    near = _is_near(example, entry)
    if _is_scan(example):
        # What is only seen through a microscope or an endoscope is too small, or looks like nothing of its own.
        scanned = not entry.modalities or any(family(name) in SCANS for name in entry.modalities)
        return scanned and (occurs_in(entry, kind) if near is None else near)
    return occurs_in(entry, kind) or bool(near)


def _is_scan(example: Example) -> bool:
    return family(example.modality) in SCANS


def _is_far(example: Example, entry: BiomedicalObject) -> bool:
    """Return whether an object is known to lie outside of what a scan shows."""
    return _is_scan(example) and _is_near(example, entry) is False


def _is_near(example: Example, entry: BiomedicalObject) -> bool | None:
    """Return whether an object lies where an image was taken, or so near that it may be on it; None if not known."""
    if _is_scan(example):
        here, there = _regions([example.site]), _regions(entry.sites)
        if not here or not there:
            return None
        # An ultrasound of the belly may show a fetus with all its organs.
        unborn = family(example.modality) == "ultrasound" and bool(here & _FETUS)
        return unborn or any(abs(one - other) <= 1 for one in here for other in there)
    if example.site in _NO_ORGAN:
        return True if example.site == "tissue" and entry in _organs() else None
    organ = find_object(example.site)
    own = {organ, *ancestors_of(organ), *descendants_of(organ)} if organ else set()
    sites = next((group for group in _ONE_SITE if example.site in group), {example.site})
    return entry in own or (any(occurs_at(entry, site) for site in sites) if entry.sites else None)


def _regions(sites: Iterable[str]) -> set[int]:
    """Return in which parts of the body sites lie; of none if any is not known."""
    parts = [_region(site) for site in sites]
    return set(chain.from_iterable(parts)) if all(parts) else set()


@lru_cache(maxsize=1024)
def _region(site: str) -> frozenset[int]:
    """Return the parts of the body in which a site lies, or an organ by any of its names, as "cardiac"."""
    organ = find_object(site)
    names = [site.lower().replace("-", " ")], [organ.name] if organ else [], organ.sites if organ else []
    known = ([_REGIONS.get(name, frozenset()) for name in each] for each in names if each)
    return next((frozenset(chain.from_iterable(parts)) for parts in known if all(parts)), frozenset())


@lru_cache(maxsize=1)
def _organs() -> frozenset[BiomedicalObject]:
    """Return the organs that tissue may come from: those that pathology's objects name as their site."""
    sites = {site for entry in all_objects() if "pathology" in entry.modalities for site in entry.sites}
    organs = [organ for organ in map(find_object, sites) if organ]
    return frozenset(chain(organs, chain.from_iterable(map(descendants_of, organs))))
