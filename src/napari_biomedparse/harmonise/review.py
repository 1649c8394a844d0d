"""The review file: what each label of a source is taken to mean, for a person to check and change."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal, get_args

from napari_biomedparse.errors import BiomedParseError

Decision = Literal["accept", "drop", "review"]
SEPARATOR = " | "


class ReviewError(BiomedParseError):
    """A review file that cannot be used; the message names the row."""


@dataclass(frozen=True)
class Row:
    """One label of the source.

    Attributes
    ----------
    label
        As the source writes it.
    masks
        Masks that may have it.
    target
        What it is to be called: an object's name, or free text.
    object
        Identifier of the ontology's object, empty for free text.
    found_by
        How the proposal was found (see :class:`~napari_biomedparse.harmonise.names.Proposal`).
    score
        How sure it is, 0 to 1.
    decision
        ``accept``, ``drop`` (leave these masks out), or ``review`` (a person has to decide).
    phrasings
        Further words for it, for the sentences.
    """

    label: str
    masks: int
    target: str
    object: str
    found_by: str
    score: float
    decision: Decision
    phrasings: tuple[str, ...] = ()


COLUMNS = tuple(field.name for field in fields(Row))


class Review:
    """Rows by label, kept in a CSV file that is replaced as a whole whenever it is written.

    Parameters
    ----------
    path
        The file; need not exist yet.

    Raises
    ------
    ReviewError
        If the file is there and cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, Row] = {row.label: row for row in _read(path)} if path.exists() else {}

    def count(self, masks: Mapping[str, int]) -> None:
        """Note how many masks have each label; rows of other labels stay as they are."""
        for label, number in masks.items():
            if label in self.rows:
                self.rows[label] = replace(self.rows[label], masks=number)

    def undecided(self, labels: Mapping[str, int]) -> list[Row]:
        """Return the rows of these labels that a person has to decide."""
        return [self.rows[label] for label in sorted(labels) if self.rows[label].decision == "review"]

    def drop_undecided(self, labels: Mapping[str, int]) -> None:
        """Drop the undecided labels for now; the file keeps them undecided."""
        for row in self.undecided(labels):
            self.rows[row.label] = replace(row, decision="drop")

    def write(self) -> None:
        """Write the file, sorted by label."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        for _, row in sorted(self.rows.items()):
            writer.writerow({**asdict(row), "phrasings": SEPARATOR.join(row.phrasings)})
        content = text.getvalue().encode("utf-8")
        if self.path.is_file() and self.path.read_bytes() == content:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f"{self.path.name}.partial")
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)


def _read(path: Path) -> Iterator[Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ReviewError(f"{path} is not UTF-8; save it as CSV UTF-8.") from None
    # Spreadsheets of many countries separate by semicolons.
    head = text.partition("\n")[0]
    lines = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    missing = {"label", "target", "decision"} - set(lines.fieldnames or ())
    if missing:
        raise ReviewError(f"{path} lacks the column {', '.join(sorted(missing))}; it needs {', '.join(COLUMNS)}.")
    seen: set[str] = set()
    for number, line in enumerate(lines, start=2):
        row = _row(line, f"{path}, row {number}")
        if row.label in seen:
            raise ReviewError(f"{path}, row {number}: the label {row.label!r} is there twice; leave one.")
        seen.add(row.label)
        yield row


def _row(line: Mapping[str, str | None], where: str) -> Row:
    words = {name: (line.get(name) or "").strip() for name in COLUMNS}
    decision = words["decision"].lower()
    if not words["label"]:
        raise ReviewError(f"{where} has no label.")
    if decision not in get_args(Decision):
        raise ReviewError(f"{where}: the decision must be accept, drop or review, not {decision!r}.")
    if decision == "accept" and not words["target"]:
        raise ReviewError(f"{where}: {words['label']!r} is accepted but has no target; write what it is called.")
    if any(sign in words["target"] for sign in "/\\+\n"):
        raise ReviewError(f"{where}: the target {words['target']!r} must not contain a slash, + or line end.")
    try:
        masks, score = int(words["masks"] or 0), float((words["score"] or "0").replace(",", "."))
    except ValueError:
        raise ReviewError(f"{where}: masks and score must be numbers.") from None
    return Row(
        label=words["label"],
        masks=masks,
        # An underscore ends a target in file names.
        target=" ".join(words["target"].replace("_", " ").split()),
        object=words["object"],
        found_by=words["found_by"],
        score=score,
        decision=decision,  # type: ignore[arg-type]
        phrasings=tuple(part.strip() for part in words["phrasings"].split("|") if part.strip()),
    )
