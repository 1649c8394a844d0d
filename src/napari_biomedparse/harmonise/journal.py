"""What has been made so far, a line per source image: a build that was cut off goes on from it."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from napari_biomedparse.errors import BiomedParseError
from napari_biomedparse.harmonise.items import Record, files_of


class JournalError(BiomedParseError):
    """A journal that cannot be used; the message says what to do."""


class Journal:
    """A file of JSON lines in a data set's folder. The last line of a key counts.

    Parameters
    ----------
    out
        The data set's folder.
    table
        A database with the table ``images`` of the source's keys and the table ``done``, which is filled: key,
        fingerprint, group, split and place of each line. The fingerprint is empty where a file of the line is missing,
        or its files are to be made anew.

    Raises
    ------
    JournalError
        If a line other than the last is damaged.
    """

    NAME = "build.jsonl"

    def __init__(self, out: Path, table: sqlite3.Connection) -> None:
        self.path, self._out, self._table = out / self.NAME, out, table
        self._file = self.path.open("a+b")
        self._load()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, record: Record) -> None:
        """Add a line; it is on the disk when this returns."""
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        offset = self._file.seek(0, os.SEEK_END)
        self._file.write(line)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._note(record, offset)

    def records(self, split: str) -> Iterator[Record]:
        """Yield the lines of a split that count and whose files are there, in the order of their keys."""
        rows = self._table.cursor().execute(
            "SELECT offset FROM done WHERE fingerprint!='' AND split=? ORDER BY key", (split,)
        )
        for (offset,) in rows:
            yield self._at(offset)

    def gone(self) -> list[Record]:
        """Return the lines of keys that the source no longer has; those with files missing have no fingerprint."""
        rows = self._table.execute(
            "SELECT fingerprint, offset FROM done WHERE key NOT IN (SELECT key FROM images) ORDER BY key"
        ).fetchall()
        return [{**self._at(offset), "fingerprint": print_} for print_, offset in rows]

    def forget(self, record: Record) -> None:
        """Note that nothing is left of a key."""
        self.add({**record, "fingerprint": "", "images": []})

    def find(self, key: str) -> tuple[str, Record] | None:
        """Return the fingerprint and the line of a key, or None."""
        row = self._table.execute("SELECT fingerprint, offset FROM done WHERE key=?", (key,)).fetchone()
        return (row[0], self._at(row[1])) if row else None

    def fingerprint(self, key: str) -> str | None:
        """Return the fingerprint of a key, empty where its files are missing; None if it has no line."""
        row = self._table.execute("SELECT fingerprint FROM done WHERE key=?", (key,)).fetchone()
        return row[0] if row else None

    def _at(self, offset: int) -> Record:
        self._file.seek(offset)
        record: Record = json.loads(self._file.readline())
        return record

    def _note(self, record: Record, offset: int) -> None:
        if not record["fingerprint"] and not record["images"]:
            self._table.execute("DELETE FROM done WHERE key=?", (record["key"],))
            return
        row = (record["key"], record["fingerprint"], record["group"], record["split"], offset)
        self._table.execute("INSERT OR REPLACE INTO done VALUES(?, ?, ?, ?, ?)", row)

    def _load(self) -> None:
        offset = self._file.seek(0)
        for line in self._file:
            if not line.endswith(b"\n"):
                # The line that was being written when the build was cut off.
                self._file.truncate(offset)
                return
            try:
                record = json.loads(line)
                complete = all(path.is_file() for path in files_of(record, self._out))
                self._note(record if complete else {**record, "fingerprint": ""}, offset)
            except (ValueError, KeyError, TypeError) as error:
                raise JournalError(
                    f"{self.path} is damaged ({error!r} at byte {offset}); build into a new folder."
                ) from None
            offset += len(line)
