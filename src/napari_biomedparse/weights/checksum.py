"""Whether a file of the hub's cache is still what the hub published.

huggingface_hub gives a published file the name of its SHA-256 and links to it. Where the file system has no links, it
has the file under its own name, and nothing says what its checksum was; therefore it is noted beside the snapshots.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from napari_biomedparse.files.replacing import replacing
from napari_biomedparse.model.errors import CheckpointError
from napari_biomedparse.weights.files import sha256_of


@dataclass(frozen=True)
class Checked:
    """A file's SHA-256, and whether it is the one that the hub published; None where that is not known."""

    sha256: str
    published: bool | None

    @property
    def verdict(self) -> str:
        """What to say of it."""
        if self.published is None:
            return "none published to compare it with"
        return "as published" if self.published else "not as published"


def check_cached(path: Path) -> Checked:
    """Compare a file with the checksum that the hub's cache has it under; of files elsewhere none is known."""
    sha256, published = sha256_of(path), _published(path)
    return Checked(sha256, sha256 == published if published else None)


def check_published(path: Path) -> Checked:
    """Refuse a file that is not what the hub published; parameters and limits as of :func:`check_cached`.

    Raises
    ------
    CheckpointError
        If it has changed, or is missing.
    """
    if not path.is_file():
        raise CheckpointError(f"There are no model weights at {path}.")
    checked = check_cached(path)
    if checked.published is False:
        raise CheckpointError(
            f"{path.resolve()} is damaged: its checksum has changed; delete it and download it again."
        )
    return checked


def note(path: Path, sha256: str) -> None:
    """Keep the published checksum of a file that the cache has under its own name.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    place = _place_of_note(path)
    if place:
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place) as partial:
            partial.write_text(f"{sha256}\n", encoding="ascii")


def is_sha256(name: str) -> bool:
    """Return whether a text is a SHA-256 in hexadecimal digits, which the hub has of large files only."""
    return re.fullmatch("[0-9a-f]{64}", name) is not None


def _published(path: Path) -> str | None:
    path = path.absolute()
    # What a repository's blob links to in turn is shared by repositories and has a name that is no SHA-256.
    while path.is_symlink() and path.parent.name != "blobs":
        path = path.parent / path.readlink()
    if path.parent.name == "blobs":
        return path.name if is_sha256(path.name) else None
    place = _place_of_note(path)
    if place is None or not place.is_file():
        return None
    noted = place.read_text(encoding="ascii", errors="replace").strip()
    return noted if is_sha256(noted) else None


def _place_of_note(path: Path) -> Path | None:
    """Return where the checksum of a file in a snapshot is noted; None of files elsewhere."""
    for folder in path.parents:
        if folder.name == "snapshots":
            below = path.relative_to(folder)
            return folder.with_name(".biomedparse") / below.with_name(f"{below.name}.sha256")
    return None
