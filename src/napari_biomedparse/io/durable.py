"""Files that are whole and on the disk once they are there, whatever happens to the process or the machine."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

# Ending of files that are being written, or were when a process stopped.
PARTIAL = ".partial"


def put(file: Path, content: bytes, root: Path) -> None:
    """Put a file below a folder in one step; on return it and the new folders on the way are on the disk.

    Raises
    ------
    OSError
        If it cannot be written, as when the disk is full; what was there before stays.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    # A process that is taken for dead may still be writing the same file, so each has a name of its own.
    partial = file.with_name(f"{file.name}.{uuid4().hex}{PARTIAL}")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    settle(folder for folder in file.parents if folder.is_relative_to(root))


def tidy(file: Path) -> None:
    """Remove what processes that were killed have left half-written of a file that nobody writes now."""
    for left in file.parent.glob(f"{glob.escape(file.name)}.*{PARTIAL}"):
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
