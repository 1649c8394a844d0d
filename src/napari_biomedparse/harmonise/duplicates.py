"""Pictures that a source has more than once: all of them, and their patients, belong to one side of the split."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from napari_biomedparse.harmonise.index import Item, SourceIndex, state_of
from napari_biomedparse.harmonise.items import Settings
from napari_biomedparse.harmonise.journal import Journal
from napari_biomedparse.harmonise.layout import split_of
from napari_biomedparse.harmonise.source import Source, SourceError
from napari_biomedparse.harmonise.volumes import read_volume
from napari_biomedparse.harmonise.workers import each

# Rows of an image that are brought to one type and hashed at a time.
ROWS = 256


def join_duplicates(
    index: SourceIndex, journal: Journal, settings: Settings, workers: int, report: Callable[[int], None] | None = None
) -> str | None:
    """Put the groups that have a picture in common into one split: that of the first of them.

    Parameters
    ----------
    index
        The source's images; the splits of those groups are noted there.
    journal
        Knows the hashes of the images made before.
    settings
        How groups are split.
    workers
        Processes that read images.
    report
        Called with the number of images compared.

    Returns
    -------
    str
        What to say about it; None where each picture is there once.

    Raises
    ------
    SourceError
        If the source itself has one picture in both train and test.
    """
    table = index.table
    seek = partial(_known_or_read, folder=index.folder, source=index.source)
    for number, row in enumerate(each(seek, _with_known(index, journal), workers), start=1):
        table.execute("INSERT OR REPLACE INTO pixels VALUES(?, ?, ?)", row)
        if report:
            report(number)
    found = table.execute("SELECT hash FROM pixels WHERE hash != '' GROUP BY hash HAVING COUNT(*) > 1").fetchall()
    parents: dict[str, str] = {}
    shown = ""
    for (print_,) in found:
        same = table.execute(
            "SELECT path, grp, split FROM images JOIN pixels USING(key) WHERE hash=? ORDER BY key", (print_,)
        ).fetchall()
        shown = shown or f"{same[0][0]} and {same[1][0]}"
        sides = {split: path for path, _, split in same}
        if len(sides) > 1:
            raise SourceError(
                f"{sides['train']} (train) and {sides['test']} (test) are the same picture. Take one of them out, or "
                "leave {split} out of the patterns to split by group."
            )
        for _, group, _ in same[1:]:
            _join(parents, same[0][1], group)
    for group in parents:
        split = split_of(_first(parents, group), settings.test, settings.seed)
        table.execute("UPDATE images SET split=? WHERE grp=? AND split IS NULL", (split, group))
    if not found:
        return None
    return (
        f"{len(found)} pictures are there more than once, as {shown}; they, and the patients they are of, are on the "
        "same side of the split."
    )


def pixels_of(index: SourceIndex, item: Item) -> dict[str, str]:
    """Return what the journal keeps of an image's pixels: their hash, and the state of the file that they are of."""
    hash_, state = index.table.execute("SELECT hash, state FROM pixels WHERE key=?", (item.key,)).fetchone()
    return {"pixels": hash_, "state": state}


def _with_known(index: SourceIndex, journal: Journal) -> Iterator[tuple[Item, str, str]]:
    """Yield images, the state of their files, and their hash if the journal has it."""
    for item in index.items():
        state, made = state_of(index.folder / item.path), journal.find(item.key)
        known = made[1] if made else {}
        yield item, state, known.get("pixels", "") if known.get("state") == state else ""


def _known_or_read(value: tuple[Item, str, str], folder: Path, source: Source) -> tuple[str, str, str]:
    item, state, known = value
    return item.key, known or _hash(folder / item.path, source), state


def _hash(path: Path, source: Source) -> str:
    """Return a hash of an image's pixels, however they are stored; nothing where all are equal or none can be read."""
    try:
        planes = read_volume(path, source.plane, source.channel).planes
    # Decoders of files raise anything; that it cannot be read is told once it is to be made.
    except Exception:
        return ""
    if planes.ndim == 4 and all((planes[..., 0] == planes[..., other]).all() for other in (1, 2)):
        planes = planes[..., 0]
    if not planes.size or (planes == planes.reshape(-1)[0]).all():
        return ""
    digest = hashlib.sha256(str(planes.shape).encode())
    kind = np.float64 if planes.dtype.kind == "f" else np.int64
    for plane in planes:
        for top in range(0, len(plane), ROWS):
            digest.update(np.ascontiguousarray(plane[top : top + ROWS], kind).tobytes())
    return digest.hexdigest()


def _first(parents: dict[str, str], group: str) -> str:
    while group in parents:
        group = parents[group]
    return group


def _join(parents: dict[str, str], one: str, other: str) -> None:
    first, last = sorted((_first(parents, one), _first(parents, other)))
    if first != last:
        parents[last] = first
