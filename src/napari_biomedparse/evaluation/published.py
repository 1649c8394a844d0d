"""The published test scores, to put beside one's own."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType

from napari_biomedparse.ontology import find_object, normalise


@dataclass(frozen=True)
class PublishedScore:
    """What BiomedParse v1 reached on the test images of one target (Zhao et al., 2025).

    Attributes
    ----------
    images
        Number of image-mask pairs.
    dice_mean, dice_median
        Dice over them.
    assd_mean
        Mean surface distance in pixels of 1024 x 1024 images.
    """

    images: int
    dice_mean: float
    dice_median: float
    assd_mean: float


@lru_cache(maxsize=1)
def published_scores() -> Mapping[tuple[str, str, str], PublishedScore]:
    """Return (modality, site, target) -> published score, names in lower case."""
    path = files("napari_biomedparse").joinpath("resources/published/test_scores.csv")
    table = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    return MappingProxyType(
        {
            (normalise(row["modality"]), normalise(row["site"]), normalise(row["target"])): PublishedScore(
                int(row["images"]), float(row["dice_mean"]), float(row["dice_median"]), float(row["assd_mean"])
            )
            for row in table
        }
    )


def published_score(modality: str, site: str, target: str) -> PublishedScore | None:
    """Return the published score of a target, also under another of its names, or None if there is none."""
    found = find_object(target, modality, site)
    for name in (target, *(found.names if found else ())):
        score = published_scores().get((normalise(modality), normalise(site), normalise(name)))
        if score is not None:
            return score
    return None
