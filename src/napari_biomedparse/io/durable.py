"""Files that are whole and on the disk once they are there, whatever happens to the process or the machine."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from napari_biomedparse.files.replacing import PARTIAL


def put(file: Path, content: bytes, root: Path) -> None:
    """Put a file below a folder in one step; on return it and the new folders on the way are on the disk.

    Raises
    ------
    OSError
        If it cannot be written, as when the disk is full; what was there before stays.
    """
    with _beside(file, content, root) as partial:
        partial.replace(file)


def put_first(file: Path, content: bytes, root: Path) -> None:
    """Put a file as :func:`put` does, unless there is one: of several processes at once, the first one's file stays.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    with _beside(file, content, root) as partial:
        try:
            os.link(partial, file)
        except OSError:
            # Another process was first, or the file system has no links.
            if not file.exists():
                partial.replace(file)


def tidy(file: Path) -> None:
    """Remove what processes that were killed have left half-written of a file that nobody has to write now."""
    for left in file.parent.glob(f"{glob.escape(file.name)}.*{PARTIAL}"):
        # Windows keeps what somebody still writes.
        with suppress(PermissionError):
            left.unlink(missing_ok=True)


def sweep(root: Path) -> None:
    """Remove what processes that stopped have left half-written below a folder that nobody writes to any more."""
    for left in root.rglob(f"*{PARTIAL}"):
        left.unlink(missing_ok=True)


def settle(paths: Iterable[Path]) -> None:
    """Wait until files and the entries of folders are on the disk."""
    for path in paths:
        if os.name == "nt" and path.is_dir():
            # Folders cannot be opened there.
            continue
        descriptor = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _beside(file: Path, content: bytes, root: Path) -> Iterator[Path]:
    """Give a file beside ``file`` that has its content and is on the disk; then the folders are brought there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    # A process that is taken for dead may still be writing the same file, so each has a name of its own.
    partial = file.with_name(f"{file.name}.{uuid4().hex}{PARTIAL}")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        yield partial
    finally:
        partial.unlink(missing_ok=True)
    settle(folder for folder in file.parents if folder.is_relative_to(root))
