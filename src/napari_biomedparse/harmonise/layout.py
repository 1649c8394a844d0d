"""Names and splits of images, and numbers of categories, in the BiomedParseData layout."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Any

from napari_biomedparse.files.layout import Split
from napari_biomedparse.ontology import BiomedicalObject, all_families, meta_objects

# What the published numbers belong to: 1-9, 10-14, 15 and 16.
SECTORS = ("organ",) * 9 + ("abnormality",) * 5 + ("histology", "other")


def plain_name(key: str) -> str:
    """Return a name that any file system takes: letters and digits of any script, and hyphens for other signs."""
    letters = unicodedata.normalize("NFC", key)
    kept = (letter if letter in "._-" or unicodedata.category(letter)[0] in "LMN" else " " for letter in letters)
    return "-".join("".join(kept).split()).strip("-.") or "image"


def distinct_name(key: str) -> str:
    """Return a name for an image whose plain name is another's as well, with a few signs of a hash behind it."""
    return f"{plain_name(key)}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def group_name(words: str) -> str:
    """Return the name of a patient or slide in one spelling: "P01" and "p01 " are the same."""
    return " ".join(unicodedata.normalize("NFC", words).casefold().split())


def split_of(group: str, share: float, seed: int) -> Split:
    """Return the split of a group: a hash decides, so that it stays when others are added.

    Parameters
    ----------
    group
        Patient or slide.
    share
        Share of the groups in the test split.
    seed
        Changes which.
    """
    return "test" if fraction(group_name(group), seed) < share else "train"


def fraction(text: str, seed: int) -> float:
    """Return a number in 0-1 that depends on the text and the seed only."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{text}".encode()).digest()[:7], "big") / 2**56


def categories() -> list[dict[str, Any]]:
    """Return the published categories: 0 background, 1 to 16 the meta-objects."""
    named = zip(SECTORS, meta_objects(), strict=True)
    rows = [{"supercategory": sector, "id": number, "name": name} for number, (sector, name) in enumerate(named, 1)]
    return [{"supercategory": "background", "id": 0, "name": "background"}, *rows]


def category_of(entry: BiomedicalObject | None) -> int:
    """Return the number of the meta-object that an object belongs to; 16 (other) where none is known."""
    names = meta_objects()
    family = next((family for family in all_families() if entry and family.name == entry.group), None)
    if family is None:
        return len(names)
    # Families that were added belong to the published one that is nearest.
    added = {"organ": "other organ", "microscopy": "histology structure"}
    return names.index(family.meta or added.get(family.sector, "other")) + 1
