"""Files that are whole and on the disk once they are there, whatever happens to the process or the machine."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def put(file: Path, content: bytes, root: Path) -> None:
    """Put a file below a folder in one step; on return it and the new folders on the way are on the disk.

    Raises
    ------
    OSError
        If it cannot be written, as when the disk is full; what was there before stays.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    # What a process that stopped left under this name is written over.
    partial = file.with_name(f"{file.name}.partial")
    with partial.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)
    settle(folder for folder in file.parents if folder.is_relative_to(root))


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
