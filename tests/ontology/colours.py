"""How far apart colours look, to most people and to those who lack the cones for green."""

from itertools import combinations

import numpy as np
from skimage.color import deltaE_ciede2000, lab2lch, rgb2lab

from napari_biomedparse.ontology import (
    BiomedicalObject,
    RecognitionTable,
    children_of,
    find_object,
    parents_of,
    shown_together,
)

# From linear RGB to the linear RGB that a deuteranope sees (Machado, Oliveira & Fernandes, IEEE Transactions on
# Visualization and Computer Graphics 15, 1291-1298, 2009; severity 1.0 of the authors' table).
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)


def to_rgb(colour: str) -> np.ndarray:
    """Return sRGB in 0-1 from ``#rrggbb``."""
    return np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255


def as_deuteranope(rgb: np.ndarray) -> np.ndarray:
    """Return how sRGB colours (..., 3) in 0-1 look to a deuteranope; the transfer function is that of IEC 61966-2-1."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ DEUTERANOPIA.T, 0, 1)
    return np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)


def difference(rgb: np.ndarray, other: np.ndarray, deuteranope: bool = False) -> np.ndarray:
    """Return the CIEDE2000 difference of sRGB colours (..., 3)."""
    if deuteranope:
        rgb, other = as_deuteranope(rgb), as_deuteranope(other)
    return deltaE_ciede2000(rgb2lab(rgb), rgb2lab(other))


def hue(colour: str) -> float:
    """Return the hue angle in CIELAB in degrees."""
    return float(np.degrees(lab2lch(rgb2lab(to_rgb(colour)))[2]))


def hue_family(entry: BiomedicalObject) -> str:
    """Return what it shares its hue with: its first parent, if that is of its group, or else its siblings."""
    parents = parents_of(entry)
    if not parents:
        return entry.id
    return hue_family(parents[0]) if parents[0].group == entry.group else f"{entry.group} of {parents[0].id}"


def co_displayed() -> dict[str, tuple[BiomedicalObject, ...]]:
    """Return what is shown in one image: the published lists of recognition, and what the ontology's file lists."""
    lists = dict(shown_together())
    for name, targets in RecognitionTable.published().lists.items():
        found = [find_object(target, name, site_of(name)) for target in targets]
        assert all(found), (name, targets)
        lists[name] = tuple(entry for entry in found if entry)
    return lists


def site_of(published_list: str) -> str:
    """Return the site in the name of a published list, as in "CT-Abdomen", or nothing, as in "OCT"."""
    return published_list.rpartition("-")[2].lower() if "-" in published_list else ""


def siblings(objects: tuple[BiomedicalObject, ...]) -> set[frozenset[str]]:
    """Return the pairs of objects with a parent in common."""
    return {frozenset((one.id, other.id)) for entry in objects for one, other in combinations(children_of(entry), 2)}
