"""Patterns of paths with named parts, such as ``masks/{image}_{label}.png``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from napari_biomedparse.errors import BiomedParseError

NAMES = ("split", "group", "image", "label")


class PatternError(BiomedParseError):
    """A pattern that cannot be read; the message shows it and says what is wrong."""


class PathPattern:
    """A path with wildcards and named parts, relative to the source's folder.

    ``*`` stands for any letters within a name, ``**/`` for any folders, ``{image}`` for a name to remember, and
    ``{image:REGEX}`` for one that looks like the regular expression. A slash at the end means a folder.

    Parameters
    ----------
    text
        The pattern.

    Attributes
    ----------
    names
        The named parts in their order.
    folder
        The folder at its beginning that is named in full; nothing outside it can match.

    Raises
    ------
    PatternError
        If a brace is not closed, a name is not one of :data:`NAMES`, or a regular expression is wrong.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.names = tuple(dict.fromkeys(name for name, _ in _parts(text) if name))
        for name in self.names:
            if name not in NAMES:
                raise PatternError(f"The pattern {text!r} has {{{name}}}; only {', '.join(NAMES)} can be named.")
        self._open = any(part == ("image", "") for part in _parts(text))
        _compiled(text, 0)
        self.folder = re.split(r"[*{]", text)[0].rpartition("/")[0]

    def readings(self, path: str) -> Iterator[dict[str, str]]:
        """Yield what the named parts may stand for in a path, the longest ``image`` first; nothing if no match.

        ``a_b_c.png`` read as ``{image}_{label}.png`` is ``b_c`` of ``a`` as well as ``c`` of ``a_b``.
        """
        limit = len(path)
        while limit and (found := _compiled(self.text, limit if self._open else 0).fullmatch(path)):
            yield found.groupdict()
            limit = len(found["image"]) - 1 if self._open else 0


@lru_cache(maxsize=4096)
def _parts(text: str) -> tuple[tuple[str, str], ...]:
    """Split into (name, regular expression) for named parts and ("", letters) for the rest."""
    parts: list[tuple[str, str]] = []
    place = 0
    while (start := text.find("{", place)) >= 0:
        depth, end = 1, start + 1
        while depth and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        if depth:
            raise PatternError(f"The pattern {text!r} has a brace that is not closed.")
        name, _, regex = text[start + 1 : end - 1].partition(":")
        parts += [("", text[place:start]), (name, regex)]
        place = end
    return (*parts, ("", text[place:]))


@lru_cache(maxsize=4096)
def _compiled(text: str, limit: int) -> re.Pattern[str]:
    """Compile a pattern whose ``image`` has at most so many letters; 0 for any number."""
    pieces, seen = [], set()
    for name, content in _parts(text):
        if not name:
            wild = re.split(r"(\*\*/|\*)", content)
            pieces += [{"**/": r"(?:[^/]+/)*", "*": r"[^/]*"}.get(piece, re.escape(piece)) for piece in wild]
        elif name in seen:
            pieces.append(f"(?P={name})")
        elif content or name != "image":
            pieces.append(f"(?P<{name}>{content or '[^/]+?'})")
        else:
            pieces.append(f"(?P<image>[^/]{{1,{limit or ''}}})")
        seen.add(name)
    try:
        return re.compile("".join(pieces))
    except re.error as error:
        raise PatternError(f"The pattern {text!r} has a wrong regular expression: {error}.") from None


def walk(root: Path, folder: str = "") -> Iterator[str]:
    """Yield the paths of all files and folders below one, relative to ``root``; folders end in a slash.

    Hidden ones are left out. Names come in no order, so that a folder of millions is not held in memory.
    """
    with os.scandir(root / folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = f"{folder}/{entry.name}".lstrip("/")
            if not entry.is_dir():
                yield path
                continue
            yield f"{path}/"
            # A link to a folder above would be walked for ever.
            if not (
                entry.is_symlink() and Path(entry.path).resolve() in [(root / path).parent, *(root / path).parents]
            ):
                yield from walk(root, path)
