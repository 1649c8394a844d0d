"""Writing that leaves either a whole new file or the old one."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Ending of what is being written, or was when a process stopped.
PARTIAL = ".partial"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place of the same name beside ``path``, and put what is written there to ``path`` in the end.

    If the body raises, what was at ``path`` stays as it was and what was written goes. A file is on the disk before it
    replaces another; a folder is replaced by a folder only.

    Raises
    ------
    OSError
        If there is no permission, no space or no such folder.
    """
    with _folder_beside(path) as folder:
        partial = folder / path.name
        yield partial
        if partial.is_dir() and path.is_dir() and not path.is_symlink():
            _replace_folder(partial, path)
            return
        if partial.is_file():
            _settle(partial)
        partial.replace(path)


def clear_beside(path: Path) -> None:
    """Remove what processes that were killed while they wrote ``path`` have left beside it; nobody may write it now."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{PARTIAL}"):
        shutil.rmtree(left, ignore_errors=True)


def reason(error: BaseException) -> str:
    """Say in some words why something was not written, without the place beside it that nobody knows."""
    text = getattr(error, "strerror", None) or str(error)
    return text.partition("\n")[0] or type(error).__name__


def _settle(file: Path) -> None:
    """Wait until a file's content is on the disk, without which a machine that stops can leave it empty."""
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace_folder(new: Path, path: Path) -> None:
    # A folder that is not empty cannot be replaced in one step. What is to go is removed last.
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
    path.rename(aside / path.name)
    try:
        new.rename(path)
    except OSError:
        (aside / path.name).rename(path)
        aside.rmdir()
        raise
    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=PARTIAL, dir=path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
