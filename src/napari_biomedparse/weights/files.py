"""Files of gigabytes: their checksum, their size in words, and the room for them."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from napari_biomedparse.model.errors import CheckpointError


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_in_words(size: int) -> str:
    """Return a number of bytes as people say it, in powers of 1000."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def check_room(folder: Path, size: int) -> None:
    """Refuse to begin what does not fit on the disk.

    Raises
    ------
    CheckpointError
        If the disk of ``folder`` has fewer than ``size`` bytes left.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise CheckpointError(
            f"{folder} has {size_in_words(free)} left and {size_in_words(size)} are needed; make room on that disk."
        )
