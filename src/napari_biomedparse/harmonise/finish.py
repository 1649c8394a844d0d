"""The last step of a build: the JSON files, and what there is to say about it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from napari_biomedparse import __version__
from napari_biomedparse.files.layout import SPLITS, Split
from napari_biomedparse.harmonise.assemble import Counts, write_split
from napari_biomedparse.harmonise.index import SourceIndex
from napari_biomedparse.harmonise.items import Settings
from napari_biomedparse.harmonise.journal import Journal
from napari_biomedparse.harmonise.layout import category_of
from napari_biomedparse.harmonise.mapping import object_of
from napari_biomedparse.harmonise.review import Review
from napari_biomedparse.harmonise.sentences import sentences_for
from napari_biomedparse.harmonise.source import Source
from napari_biomedparse.ontology import BiomedicalObject, all_modalities, find_modality


@dataclass
class Summary:
    """What a build did.

    Attributes
    ----------
    made, kept
        Source images made now, and made by an earlier build.
    failed
        Source images that could not be used; ``failed.csv`` in the data set says why.
    failures
        Path and reason of the first twenty.
    unnamed
        How many of the images made now have values in their masks that no label names, by value.
    counts
        What each split holds.
    notes
        What is worth a look.
    """

    made: int = 0
    kept: int = 0
    failed: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    unnamed: Counter[str] = field(default_factory=Counter)
    counts: dict[Split, Counts] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def write_json_files(
    index: SourceIndex, journal: Journal, review: Review, out: Path, settings: Settings, summary: Summary
) -> None:
    """Write ``train.json``, ``test.json`` and ``dataset.json``, and note in the summary what they hold."""
    source = index.source
    info = {"description": source.name, "license": source.licence, "url": source.source}
    further: dict[str, list[str]] = {}
    objects: dict[str, BiomedicalObject | None] = {}
    for row in review.rows.values():
        if row.decision == "accept":
            further.setdefault(row.target, []).extend(row.phrasings)
            objects.setdefault(row.target, object_of(row, source.context))

    @lru_cache(maxsize=4096)
    def words(target: str) -> tuple[int, list[str]]:
        entry = objects[target]
        return category_of(entry), sentences_for(target, entry, source.context, further[target])

    groups: dict[str, int] = {}
    for split in SPLITS:
        records = partial(journal.records, split)
        summary.counts[split] = write_split(out / f"{split}.json", split, records, info, words)
        number = index.table.execute(
            "SELECT COUNT(DISTINCT grp) FROM done WHERE fingerprint!='' AND split=?", (split,)
        ).fetchone()
        groups[split] = number[0]
    about = _about(source, index, settings, summary, groups, review)
    partial_path = out / "dataset.json.partial"
    partial_path.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial_path.replace(out / "dataset.json")


def _about(
    source: Source,
    index: SourceIndex,
    settings: Settings,
    summary: Summary,
    groups: dict[str, int],
    review: Review,
) -> dict[str, Any]:
    counts = summary.counts
    targets = sorted({target for one in counts.values() for target in one.masks})
    hashed = f"by a hash of the group, seed {settings.seed}, test {settings.test}"
    return {
        **source.model_dump(include={"name", "modality", "site", "licence", "licence_tier", "source", "citation"}),
        "targets": targets,
        "images": {split: counts[split].images for split in SPLITS},
        "masks_per_target": {target: {split: counts[split].masks[target] for split in SPLITS} for target in targets},
        "groups": groups,
        "group_by": source.group_by,
        "split": "the source's own" if source.has_splits else hashed,
        "instances": any(one.instances for one in counts.values()),
        "size_px": settings.size,
        "empty_planes_kept": settings.empty,
        "labels": {
            label: row.target if row.decision == "accept" else None
            for label, row in ((label, review.rows[label]) for label in sorted(index.labels()))
        },
        "made_by": f"napari-biomedparse {__version__} data build",
    }


def add_notes(index: SourceIndex, targets: Iterable[str], summary: Summary) -> None:
    """Note in the summary what is worth a look."""
    if index.images_without_mask:
        summary.notes.append(f"{index.images_without_mask} images have no mask and were left out.")
    if index.masks_without_image:
        summary.notes.append(f"{index.masks_without_image} masks have no image and were left out.")
    left_out = sum(counts.left_out for counts in summary.counts.values())
    if left_out:
        summary.notes.append(
            f"{left_out} images or planes show no object, or none large enough, and were left out; --empty keeps a "
            "share of those without any."
        )
    for value, number in summary.unnamed.most_common(5):
        summary.notes.append(f"No label names the value {value}; it was taken for background in {number} images.")
    found = {target for counts in summary.counts.values() for target in counts.masks}
    for target in sorted(set(targets) - found):
        summary.notes.append(f"No mask shows any {target}.")
    source = index.source
    if find_modality(source.modality) is None:
        known = ", ".join(modality.name for modality in all_modalities())
        summary.notes.append(f"The modality {source.modality!r} is none of those known: {known}.")
    if not source.has_splits and source.group_by == "image":
        summary.notes.append(
            "Each image counts as a patient of its own. Where several are of one, say so with group in "
            "biomedparse.yaml, or the test split tells nothing."
        )
    for split in SPLITS:
        if not summary.counts[split].images:
            how = "" if source.has_splits else " Choose another --seed or --test."
            summary.notes.append(f"The {split} split is empty.{how}")
