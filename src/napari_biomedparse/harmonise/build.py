"""Build a data set in the BiomedParseData layout from a source."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

from napari_biomedparse.files.layout import SPLITS, instances_of, masks_of
from napari_biomedparse.harmonise.duplicates import join_duplicates, pixels_of
from napari_biomedparse.harmonise.finish import Summary, add_notes, write_json_files
from napari_biomedparse.harmonise.index import Item, SourceIndex, fingerprint
from napari_biomedparse.harmonise.items import Record, Settings, make_item, move_files, remove_files, split_for
from napari_biomedparse.harmonise.journal import Journal
from napari_biomedparse.harmonise.review import Review, ReviewError
from napari_biomedparse.harmonise.source import Source, SourceError
from napari_biomedparse.harmonise.workers import each

FOLDERS = tuple(name for split in SPLITS for name in (split, masks_of(split), instances_of(split)))
REVIEW_NAME, SCRATCH_NAME, FAILED_NAME, UNFINISHED = "review.csv", "build.sqlite", "failed.csv", "unfinished"
# Changes whenever the same source and settings are written differently.
FORMAT = 4


def check_folder(folder: Path, out: Path) -> None:
    """Refuse a folder for the data set that holds something else.

    Raises
    ------
    SourceError
        If it lies in the source, or holds files that no build made.
    """
    if out.resolve() == folder.resolve() or folder.resolve() in out.resolve().parents:
        raise SourceError(f"{out} lies in the source {folder}; choose a folder outside.")
    if out.is_dir() and not (out / Journal.NAME).is_file():
        strange = sorted(path.name for path in out.iterdir() if path.name not in (REVIEW_NAME, SCRATCH_NAME))
        if strange:
            raise SourceError(f"{out} already holds {strange[0]} and no build of this program; choose another folder.")


def build_dataset(
    index: SourceIndex,
    review: Review,
    out: Path,
    settings: Settings,
    workers: int = 1,
    overwrite: bool = False,
    report: Callable[[int, int], None] | None = None,
) -> Summary:
    """Make what is not there yet, then write the JSON files.

    Parameters
    ----------
    index
        The source's images and masks.
    review
        What its labels mean.
    out
        The data set's folder.
    settings
        How to make it.
    workers
        Processes that make images.
    overwrite
        Whether to make images anew that an earlier build made with other settings, labels or files, and to remove
        those that the source no longer has.
    report
        Called with the number of source images compared and made, and of both together.

    Raises
    ------
    ReviewError
        If a label is undecided, or none is wanted.
    SourceError
        If the folder holds something else, or images would have to be made anew or removed, or the source has one
        picture in both of its splits.
    """
    check_folder(index.folder, out)
    targets = wanted_targets(index.labels(), review)
    out.mkdir(parents=True, exist_ok=True)
    summary, total = Summary(), len(index)
    with Journal(out, index.table) as journal:
        twice = join_duplicates(index, journal, settings, workers, report and (lambda done: report(done, 2 * total)))
        if not overwrite:
            _refuse_changes(index, journal, settings, targets, out)
        for left in journal.gone():
            remove_files(left, out)
            journal.forget(left)
        # Pictures are moved to their places once the journal knows of them, so that a build cut off here and gone on
        # with differently leaves none behind that nobody knows of.
        unfinished = out / UNFINISHED
        shutil.rmtree(unfinished, ignore_errors=True)
        for name in FOLDERS:
            (out / name).mkdir(exist_ok=True)
            (unfinished / name).mkdir(parents=True)
        failed = out / f"{FAILED_NAME}.partial"
        with failed.open("w", newline="", encoding="utf-8") as file:
            failures = csv.writer(file)
            failures.writerow(("file", "reason"))
            todo = _todo(index, journal, settings, targets, out, summary)
            for item, record, reason in _results(todo, targets, index, settings, unfinished, workers):
                if record is None:
                    summary.failed += 1
                    failures.writerow((item.path, reason))
                    summary.failures += [(item.path, reason)] if len(summary.failures) < 20 else []
                else:
                    journal.add({**record, **pixels_of(index, item)})
                    move_files(record, unfinished, out)
                    summary.made += 1
                    summary.unnamed.update(record["unnamed"])
                if report:
                    report(total + summary.made + summary.kept + summary.failed, 2 * total)
        (out / FAILED_NAME).unlink(missing_ok=True)
        failed.replace(out / FAILED_NAME) if summary.failed else failed.unlink()
        shutil.rmtree(unfinished)
        write_json_files(index, journal, review, out, settings, summary)
    for numbered in (out / instances_of(split) for split in SPLITS):
        if not any(numbered.iterdir()):
            numbered.rmdir()
    summary.notes += [twice] if twice else []
    add_notes(index, targets.values(), summary)
    return summary


def wanted_targets(labels: Mapping[str, int], review: Review) -> dict[str, str]:
    """Return label -> target of the accepted labels.

    Raises
    ------
    ReviewError
        If a label is undecided, none is accepted, or targets differ in capitals only.
    """
    undecided = review.undecided(labels)
    if undecided:
        shown = ", ".join(repr(row.label) for row in undecided[:8]) + (", ..." if len(undecided) > 8 else "")
        raise ReviewError(
            f"{len(undecided)} of {len(labels)} labels are undecided in {review.path}: {shown}. Set their decision to "
            "accept (with a target) or drop, and run again; or let --drop-undecided leave them out."
        )
    targets = {label: review.rows[label].target for label in labels if review.rows[label].decision == "accept"}
    if not targets:
        raise ReviewError(f"No label is accepted in {review.path}, so there is nothing to build.")
    spelled: dict[str, str] = {}
    for target in targets.values():
        other = spelled.setdefault(target.lower(), target)
        if other != target:
            raise ReviewError(f"{review.path} has the targets {other!r} and {target!r}; write both in the same way.")
    return targets


def _made(item: Item, source: Source, settings: Settings, targets: Mapping[str, str]) -> str:
    """Return everything besides files that an item's pictures depend on."""
    about = source.model_dump(exclude={"name", "licence", "licence_tier", "source", "citation", "group"})
    labels = sorted({label for mask in item.masks for label in mask.labels})
    chosen = {label: targets.get(label) for label in labels}
    placed = [item.name, item.group, split_for(item, settings)]
    what = [FORMAT, about, asdict(settings), chosen, placed, [asdict(mask) for mask in item.masks]]
    return json.dumps(what, sort_keys=True)


def _refuse_changes(
    index: SourceIndex, journal: Journal, settings: Settings, targets: Mapping[str, str], out: Path
) -> None:
    changed, gone = 0, sum(bool(record["fingerprint"]) for record in journal.gone())
    for item in index.items():
        known = journal.fingerprint(item.key)
        changed += bool(known) and known != _fingerprint(item, index, settings, targets)
    if changed:
        raise SourceError(
            f"{changed} of {len(index)} images in {out} were made with other settings, labels or files. "
            "Give --overwrite to make these anew, or build into another folder."
        )
    if gone:
        raise SourceError(
            f"{gone} images of an earlier build in {out} are not in {index.folder} as it is described now. Give "
            "--overwrite to remove them from the data set, or build into another folder."
        )


def _fingerprint(item: Item, index: SourceIndex, settings: Settings, targets: Mapping[str, str]) -> str:
    return fingerprint(item, index.folder, _made(item, index.source, settings, targets))


def _todo(
    index: SourceIndex,
    journal: Journal,
    settings: Settings,
    targets: Mapping[str, str],
    out: Path,
    summary: Summary,
) -> Iterator[tuple[Item, str]]:
    """Yield the items that are not made yet, and remove what is left of those that are to be made anew."""
    for item in index.items():
        current = _fingerprint(item, index, settings, targets)
        found = journal.find(item.key)
        if found and found[0] == current:
            summary.kept += 1
            continue
        if found:
            # Before its files go; the line goes on to name them, so that a build cut off here can find them again.
            journal.add({**found[1], "fingerprint": ""})
            remove_files(found[1], out)
        yield item, current


def _attempt(value: tuple[Item, str], make: Callable[[Item], Record]) -> tuple[Item, Record | None, str]:
    item, current = value
    try:
        return item, {**make(item), "fingerprint": current}, ""
    # Decoders of files raise anything; one file must not stop the rest.
    except Exception as error:
        return item, None, str(error).strip().partition("\n")[0] or type(error).__name__


def _results(
    todo: Iterator[tuple[Item, str]],
    targets: Mapping[str, str],
    index: SourceIndex,
    settings: Settings,
    out: Path,
    workers: int,
) -> Iterator[tuple[Item, Record | None, str]]:
    make = partial(
        make_item, targets=dict(targets), folder=index.folder, source=index.source, settings=settings, out=out
    )
    return each(partial(_attempt, make=make), todo, workers)
