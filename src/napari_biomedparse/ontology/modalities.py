"""What the published model looks for in each modality, and what a present object looks like there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

# Alpha and beta of the Beta distributions of mean probability, red, green and blue inside an object's mask.
Distributions = tuple[tuple[float, float], ...]


class ModalityError(ValueError):
    """A modality that has no list of objects; the message names those that have."""


def _read(name: str) -> Any:
    return json.loads(files("napari_biomedparse").joinpath(f"resources/published/{name}").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def recognition_lists() -> Mapping[str, tuple[str, ...]]:
    """Return modality -> objects, in the published order."""
    return MappingProxyType({modality: tuple(names) for modality, names in _read("recognition_lists.json").items()})


@lru_cache(maxsize=1)
def presence_table() -> Mapping[tuple[str, str], Distributions]:
    """Return (modality, object) -> the distributions of a present object's four statistics."""
    return MappingProxyType(
        {
            (modality, name): tuple((alpha, beta) for alpha, beta in pairs)
            for modality, objects in _read("target_dist.json").items()
            for name, pairs in objects.items()
        }
    )


def objects_of(modality: str) -> tuple[str, ...]:
    """Return the objects looked for in a modality.

    Raises
    ------
    ModalityError
        If there is no list for it.
    """
    try:
        return recognition_lists()[modality]
    except KeyError:
        known = ", ".join(recognition_lists())
        raise ModalityError(f"There is no list of objects for {modality!r}; choose one of: {known}.") from None
