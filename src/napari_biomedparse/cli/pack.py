"""``napari-biomedparse pack``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from napari_biomedparse.cli.common import clear_errors, progress_bar
from napari_biomedparse.errors import SettingError

UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}


def pack(
    data: Annotated[list[Path], typer.Argument(help="Folders in the BiomedParseData layout.")],
    out: Annotated[Path, typer.Option(help="Folder or .zip file to make.")],
    side: Annotated[int, typer.Option(min=32, help="Longer side of images of organs, at most, in pixels.")] = 320,
    quality: Annotated[int, typer.Option(min=1, max=95, help="JPEG's quality, lowered where needed.")] = 90,
    most: Annotated[str | None, typer.Option(help="Size that the copy may have, such as 40MB.")] = None,
) -> None:
    """Copy training images, made small, to carry them to another machine."""
    with clear_errors():
        from napari_biomedparse.training.pack import pack as run
        from napari_biomedparse.weights.files import size_in_words

        budget = None if most is None else _bytes(most)
        with progress_bar(quiet=False) as bar:
            task = bar.add_task("images", total=None)
            done = run(data, out, side, quality, budget, lambda n, total: bar.update(task, completed=n, total=total))
        size = size_in_words(done.size)
        typer.echo(f"{done.path}: {done.images} images, {size}, JPEG quality {done.quality}")


def _bytes(words: str) -> int:
    """Return a size such as 40MB in bytes."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?b)?", words.strip().lower())
    if not found:
        raise SettingError(f"{words!r} is not a size; write for example 40MB.")
    return round(float(found[1]) * UNITS[found[2] or ""])
