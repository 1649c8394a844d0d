"""Paint all planes of a result anew, away from the window's thread."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.follow import Findings, number_over
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.selection import Place

# Values up to which looking for each is faster than counting all at once.
FEW = 8


@dataclass(frozen=True)
class Painted:
    """Labels of a plane.

    Attributes
    ----------
    place
        The plane.
    alone
        The prompt whose labels these are; None for all of them together.
    values
        Labels (h, w).
    names
        Value -> prompt.
    overlap
        Pixels that more than one object claimed.
    pixels
        Prompt -> pixels.
    present
        Prompt -> the values that occur.
    """

    place: Place
    alone: str | None
    values: NDArray[np.integer[Any]]
    names: dict[int, str]
    overlap: int
    pixels: dict[str, int]
    present: dict[str, frozenset[int]]


def paint_plane_of(findings: Findings, place: Place, paint: Paint, groups: Sequence[str | None]) -> list[Painted]:
    """Paint one plane, each of its groups: a prompt alone, or all together (None)."""
    found = []
    for alone in groups:
        plane = findings.paint(place, paint, alone)
        found.append(_counted(place, alone, plane.values, plane.names, plane.overlap))
    return found


def paint_all(
    findings: Findings, paint: Paint, link: bool, groups: Sequence[str | None], first: Place | None
) -> Generator[Painted, None, None]:
    """Paint the plane that is shown, then all in order."""
    if first is not None and first in findings.planes and len(findings.planes) > 1:
        yield from paint_plane_of(findings, first, paint, groups)
    for alone in groups:
        for place, values, names, overlap in number_over(findings, paint, link, alone):
            yield _counted(place, alone, values, names, overlap)


def _counted(
    place: Place, alone: str | None, values: NDArray[np.integer[Any]], names: dict[int, str], overlap: int
) -> Painted:
    pixels: dict[str, int] = {}
    present: dict[str, set[int]] = {}
    for value, count in _counts(values, names).items():
        prompt = names[value]
        pixels[prompt] = pixels.get(prompt, 0) + count
        present.setdefault(prompt, set()).add(value)
    shown = {name: frozenset(found) for name, found in present.items()}
    return Painted(place, alone, values, names, overlap, pixels, shown)


def _counts(values: NDArray[np.integer[Any]], names: dict[int, str]) -> dict[int, int]:
    """Return how often each value occurs that does."""
    if len(names) <= FEW:
        counts = {value: int(np.count_nonzero(values == value)) for value in names}
    else:
        counts = dict(enumerate(np.bincount(values.ravel())[1:].tolist(), start=1))
    return {value: count for value, count in counts.items() if count}
