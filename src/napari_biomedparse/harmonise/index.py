"""Which images a source has, and which masks belong to each: a table on disk, so that millions fit."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from napari_biomedparse.files.layout import Split
from napari_biomedparse.harmonise.dicom import segment_labels
from napari_biomedparse.harmonise.layout import distinct_name, group_name, plain_name
from napari_biomedparse.harmonise.patterns import PathPattern, walk
from napari_biomedparse.harmonise.source import MaskRule, Source, SourceError, Table
from napari_biomedparse.harmonise.volume import DICOM, NIFTI, has_ending
from napari_biomedparse.harmonise.volumes import nifti_labels

# What sources call their splits; validation images are trained on.
SPLIT_NAMES: Mapping[str, Split] = {
    **dict.fromkeys(("train", "training", "tr", "val", "valid", "validation"), "train"),
    **dict.fromkeys(("test", "testing", "ts"), "test"),
}
SCHEMA = """
CREATE TABLE images(key TEXT PRIMARY KEY, name TEXT, path TEXT, grp TEXT, split TEXT);
CREATE TABLE masks(key TEXT, path TEXT, rule INTEGER, labels TEXT, UNIQUE(key, rule, path));
CREATE INDEX mask_paths ON masks(path);
CREATE TABLE pixels(key TEXT PRIMARY KEY, hash TEXT, state TEXT);
CREATE INDEX hashes ON pixels(hash);
CREATE TABLE done(key TEXT PRIMARY KEY, fingerprint TEXT, grp TEXT, split TEXT, offset INTEGER);
"""


@dataclass(frozen=True)
class ItemMask:
    """One mask file of an image: its path in the source, the rule it follows, and what its values mean.

    An empty list of values stands for every value but zero.
    """

    path: str
    rule: int
    labels: Table


@dataclass(frozen=True)
class Item:
    """One image file and its masks.

    Attributes
    ----------
    key
        What its pattern's named parts are, joined by slashes.
    name
        Beginning of the names of what is made of it.
    path
        In the source.
    group
        Patient or slide, in one spelling; by default the image's name, without the split.
    split
        Given by the source, or by a picture that another group has as well; else None.
    masks
        Its masks, in the order of rules and paths.
    """

    key: str
    name: str
    path: str
    group: str
    split: Split | None
    masks: tuple[ItemMask, ...]


class SourceIndex:
    """The images and masks of a source.

    Parameters
    ----------
    folder
        The source's folder.
    source
        Its description.
    path
        Scratch file, made anew and removed on leaving; in memory by default.

    Raises
    ------
    SourceError
        If there is no image with a mask, names are ambiguous, or masks have no label.
    """

    def __init__(self, folder: Path, source: Source, path: Path | None = None) -> None:
        self.folder, self.source, self._path = folder, source, path
        if path:
            path.unlink(missing_ok=True)
        self.table = sqlite3.connect(path or ":memory:")
        self.table.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + SCHEMA)
        try:
            self.images_without_mask, self.masks_without_image = self._fill()
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> SourceIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        self.table.close()
        if self._path:
            self._path.unlink(missing_ok=True)

    def __len__(self) -> int:
        return int(self.table.execute("SELECT COUNT(*) FROM images").fetchone()[0])

    def labels(self) -> dict[str, int]:
        """Return each label and how many mask files may have it."""
        counts: Counter[str] = Counter()
        for labels, number in self.table.execute("SELECT labels, COUNT(*) FROM masks GROUP BY labels"):
            counts.update(dict.fromkeys(json.loads(labels), number))
        return dict(counts)

    def items(self) -> Iterator[Item]:
        """Yield the images that have masks, in the order of their keys."""
        rows = self.table.cursor()
        for key, name, path, group, split in rows.execute(
            "SELECT key, name, path, grp, split FROM images ORDER BY key"
        ):
            masks = self.table.execute("SELECT path, rule, labels FROM masks WHERE key=? ORDER BY rule, path", (key,))
            found = tuple(ItemMask(mask, rule, json.loads(labels)) for mask, rule, labels in masks)
            yield Item(key, name, path, group, split, found)

    def _fill(self) -> tuple[int, int]:
        pattern = PathPattern(self.source.images)
        for path in self._walk(pattern):
            for parts in pattern.readings(path):
                self._add_image(path, parts)
                break
        orphans = sum(self._add_masks(number, rule) for number, rule in enumerate(self.source.masks))
        # Where images and masks share a folder, the images' pattern also fits the masks.
        self.table.execute("DELETE FROM images WHERE path IN (SELECT path FROM masks)")
        lone = "DELETE FROM images WHERE key NOT IN (SELECT key FROM masks)"
        other = self.table.execute(f"{lone} AND split NOT IN ('train', 'test')").rowcount
        without = self.table.execute(lone).rowcount
        if not len(self):
            raise SourceError(
                f"No image in {self.folder} has a mask: {self.source.images} fits {without + other} images, "
                f"{', '.join(rule.files for rule in self.source.masks)} fits no mask of theirs."
            )
        strange = self.table.execute("SELECT path, split FROM images WHERE split NOT IN ('train', 'test')").fetchone()
        if strange:
            raise SourceError(
                f"{strange[0]} is of the split {strange[1]!r}, which is none of {', '.join(SPLIT_NAMES)}; rename it, "
                "or leave {split} out of the patterns to split by group."
            )
        strange = self.table.execute("SELECT path FROM images WHERE grp IS NULL").fetchone()
        if strange:
            raise SourceError(f"{strange[0]} has no group: {self.source.group!r} finds nothing in it.")
        torn = self.table.execute("SELECT grp FROM images GROUP BY grp HAVING COUNT(DISTINCT split) > 1").fetchone()
        if torn:
            own = ' (group: "(.*)" if images only share a number)' if self.source.group_by == "image" else ""
            raise SourceError(
                f"The source has {torn[0]!r} in both train and test. Leave {{split}} out of the patterns to split by "
                f"group, or mend the group{own}."
            )
        self._tell_names_apart()
        return without, orphans

    def _tell_names_apart(self) -> None:
        """Give images other names where these differ in capitals or signs only, as many disks do not tell them apart.

        The image that is really called so keeps the name.
        """
        self.table.create_function("folded", 1, str.casefold, deterministic=True)
        self.table.execute("CREATE INDEX names ON images(folded(name))")
        shared = "SELECT folded(name) FROM images GROUP BY folded(name) HAVING COUNT(*) > 1"
        for (name,) in self.table.execute(shared).fetchall():
            rows = self.table.execute("SELECT key FROM images WHERE folded(name)=? ORDER BY name != key, key", (name,))
            for (key,) in rows.fetchall()[1:]:
                self.table.execute("UPDATE images SET name=? WHERE key=?", (distinct_name(key), key))

    def _walk(self, pattern: PathPattern) -> Iterator[str]:
        if not (self.folder / pattern.folder).is_dir():
            raise SourceError(f"There is no folder {self.folder / pattern.folder}, which {pattern.text} speaks of.")
        return walk(self.folder, pattern.folder)

    def _add_image(self, path: str, parts: Mapping[str, str]) -> None:
        key, split = _key(parts), parts.get("split") or None
        known = SPLIT_NAMES.get(split.lower()) if split else None
        row = (key, plain_name(key), path.rstrip("/"), self._group(path, parts), known or split)
        if split and not known:
            # Perhaps the folder of the masks; only if what lies there has masks is it a split whose name is not known.
            self.table.execute("INSERT OR IGNORE INTO images VALUES(?, ?, ?, ?, ?)", row)
            return
        try:
            self.table.execute("INSERT INTO images VALUES(?, ?, ?, ?, ?)", row)
        except sqlite3.IntegrityError:
            other = self.table.execute("SELECT path FROM images WHERE key=?", (key,)).fetchone()[0]
            raise SourceError(
                f"{path} and {other} have the same name as {self.source.images!r} sees them; "
                "give the part in which they differ a name, such as {group} or {image}."
            ) from None

    def _group(self, path: str, parts: Mapping[str, str]) -> str | None:
        if self.source.group is None:
            return group_name(parts.get("group") or parts["image"])
        found = re.search(self.source.group, path)
        return group_name(found[1] or "") or None if found else None

    def _add_masks(self, number: int, rule: MaskRule) -> int:
        """Add the masks of a rule; return how many have no image."""
        pattern = PathPattern(rule.files)
        orphans = 0
        for path in self._walk(pattern):
            readings = list(pattern.readings(path))
            parts = next((one for one in readings if self._has_image(_key(one))), None)
            if parts is None:
                orphans += bool(readings)
                continue
            labels = json.dumps(self._table_of(rule, parts, path))
            row = (_key(parts), path.rstrip("/"), number, labels)
            self.table.execute("INSERT OR IGNORE INTO masks VALUES(?, ?, ?, ?)", row)
        return orphans

    def _has_image(self, key: str) -> bool:
        return self.table.execute("SELECT 1 FROM images WHERE key=?", (key,)).fetchone() is not None

    def _table_of(self, rule: MaskRule, parts: Mapping[str, str], path: str) -> Table:
        if rule.labels:
            return rule.labels
        label = (rule.label or parts.get("label") or "").strip()
        if label:
            return {label: []}
        # The values of separate objects have no names.
        if rule.instances:
            table: Table = {}
        elif has_ending(path, NIFTI):
            table = nifti_labels(self.folder / path)
        elif has_ending(path, DICOM):
            table = segment_labels(self.folder / path)
        else:
            table = {}
        if not table:
            raise SourceError(
                f"What {path} shows is not said; add label: NAME or labels: {{1: NAME}} to {rule.files!r} in "
                "biomedparse.yaml, which napari-biomedparse data describe prints to begin with."
            )
        return table


def _key(parts: Mapping[str, str]) -> str:
    # Some disks write an accent as a letter of its own.
    return unicodedata.normalize("NFC", "/".join(parts[name] for name in ("split", "group", "image") if name in parts))


def state_of(path: Path) -> str:
    """Return the names, sizes and times of a file, or of the files of a folder."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    states = ((file.name, file.stat()) for file in files)
    return "".join(f"{name}/{state.st_size}/{state.st_mtime_ns};" for name, state in states)


def fingerprint(item: Item, folder: Path, made: str) -> str:
    """Return a hash that changes when an item's files, or how it is made, change.

    Parameters
    ----------
    item
        The item.
    folder
        The source's folder.
    made
        Everything else that what is made of it depends on.
    """
    digest = hashlib.sha256(made.encode())
    for name in (item.path, *(mask.path for mask in item.masks)):
        digest.update(state_of(folder / name).encode())
    return digest.hexdigest()
