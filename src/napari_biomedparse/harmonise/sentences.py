"""Several phrasings for each (image, mask) pair."""

from __future__ import annotations

from collections.abc import Iterable

from napari_biomedparse.harmonise.names import Context, resolve
from napari_biomedparse.ontology import BiomedicalObject, normalise


def sentences_for(
    target: str, entry: BiomedicalObject | None, context: Context, further: Iterable[str] = ()
) -> list[str]:
    """Return what a target may be called, in lower case as the network is trained, the published form first.

    Parameters
    ----------
    target
        The target.
    entry
        Its object, for synonyms and plurals; None for free text.
    context
        Modality and site of the images.
    further
        More phrasings, as a language model or a person gave them.

    Returns
    -------
    list of str
        ``TARGET in SITE MODALITY`` (the published converter's form), the target, its other names there, further
        phrasings, ``TARGET in MODALITY``, and the other names in site and modality.
    """
    modality, site = context.modality, context.site
    names: list[str] = []
    if entry:
        names = [*entry.names, *(name for name in entry.in_context if resolve(name, context) == entry)]
    others = [normalise(name) for name in (*names, *further) if normalise(name) != normalise(target)]
    phrasings = [
        f"{target} in {site} {modality}",
        target,
        *others,
        f"{target} in {modality}",
        *(f"{name} in {site} {modality}" for name in others if " in " not in name),
    ]
    return list(dict.fromkeys(map(normalise, phrasings)))
