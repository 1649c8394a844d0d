"""Which axis of an array is time, channel, depth, row or column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from napari_biomedparse.errors import BiomedParseError

_MEANING = {"T": "time", "C": "channels", "Z": "depth", "Y": "rows", "X": "columns"}
_LABELS = {
    "T": ("t", "time", "times", "timepoint", "timepoints", "frame", "frames"),
    "C": ("c", "ch", "channel", "channels", "wavelength", "wavelengths"),
    "Z": ("z", "depth", "plane", "planes", "slice", "slices", "sl"),
    "Y": ("y", "row", "rows", "height"),
    "X": ("x", "col", "cols", "column", "columns", "width"),
}
_LETTER_OF = {label: letter for letter, labels in _LABELS.items() for label in labels}


class AxesError(BiomedParseError):
    """Axes that cannot be told or do not fit together; the message says what to do."""


@dataclass(frozen=True)
class Axes:
    """What the axes of an array are.

    Parameters
    ----------
    order
        One of the letters T (time), C (channels), Z (depth), Y (rows), X (columns) for each axis of the array, without
        an RGB axis: ``"TCZYX"``. None occurs twice; Y and X are there.
    certain
        False if one of T, C and Z was guessed from the array's shape.
    reason
        One sentence that says how the order was found.

    Raises
    ------
    AxesError
        If ``order`` is none.
    """

    order: str
    certain: bool = True
    reason: str = field(default="The axes were given.", compare=False)

    def __post_init__(self) -> None:
        letters = "T, C, Z, Y and X"
        if unknown := [letter for letter in self.order if letter not in _MEANING]:
            raise AxesError(f"There is no axis {unknown[0]!r}; name each axis with one of the letters {letters}.")
        if double := [letter for letter in self.order if self.order.count(letter) > 1]:
            raise AxesError(f"{double[0]} occurs twice in the axes {self.order}; give each axis a letter of its own.")
        if missing := [letter for letter in "YX" if letter not in self.order]:
            raise AxesError(
                f"The axes {self.order or '(none)'} have no {missing[0]}; an image needs Y (rows) and X (columns)."
            )

    def place(self, letter: str) -> int | None:
        """Return which axis of the array a letter stands for, None if there is no such axis."""
        return self.order.index(letter) if letter in self.order else None


def read_axes(shape: Sequence[int], labels: Sequence[str] = ()) -> Axes:
    """Tell from labels and shape what the axes of an array are.

    Labels count where they mean something, in upper or lower case: t, time, frame; c, ch, channel, wavelength; z,
    depth, plane, slice, sl; y, row, height; x, col, column, width; and plurals. Others, as napari's "-3" and "axis 0",
    do not. Of the axes without such a label the last are Y and X, as far as these are missing; those before them go by
    length:

    =================  ======================================  =================================================
    axes without name  lengths                                 read as
    =================  ======================================  =================================================
    1                  any; up to 4 beside T or Z by name      Z; C
    2                  short, long; long, short; otherwise     CZ; ZC; TZ
    3                  third short; otherwise                  TZC (as ImageJ keeps them); TCZ (OME's usual order)
    =================  ======================================  =================================================

    Short means up to 5 and less than the other (of 2) or than the second (of 3); a length of 1 is short only beside
    more than 5, for it may be that of any axis. Where a label has taken a letter, the first free one of Z, T and C
    stands in for it, or of two axes without a short one the free letters in the order T, C, Z.

    Parameters
    ----------
    shape
        Of the array, without an RGB axis.
    labels
        One for each axis, or none at all.

    Raises
    ------
    AxesError
        If the array has fewer than 2 or more than 5 axes, or the labels repeat or leave no axis for Y and X.
    """
    if len(shape) < 2:
        raise AxesError(f"An image needs at least two axes, rows and columns; this has the shape {tuple(shape)}.")
    if len(shape) > len(_MEANING):
        raise AxesError(
            f"The image has {len(shape)} axes, but only time, channels, depth, rows and columns can be told apart; "
            "take it apart along the others, or squeeze axes of length 1."
        )
    if labels and len(labels) != len(shape):
        raise AxesError(f"There are {len(labels)} labels for {len(shape)} axes; give one for each axis, or none.")
    found = [_LETTER_OF.get(label.strip().lower(), "") for label in labels] or [""] * len(shape)
    named = [letter for letter in found if letter]
    for letter in named:
        if named.count(letter) > 1:
            same = " and ".join(label for label, other in zip(labels, found, strict=True) if other == letter)
            raise AxesError(f"The axis labels {same} all mean {_MEANING[letter]}; name each axis differently.")
    free = [axis for axis, letter in enumerate(found) if not letter]
    for letter in "XY":
        if letter not in found:
            if not free:
                given = ", ".join(labels)
                raise AxesError(
                    f"The axis labels {given} leave no axis for {_MEANING[letter]} ({letter}); correct them."
                )
            found[free.pop()] = letter
    spare = "".join(letter for letter in "TCZ" if letter not in named)
    for axis, letter in zip(free, _by_length([shape[axis] for axis in free], spare), strict=True):
        found[axis] = letter
    certain = not free or spare == found[free[0]]
    return Axes("".join(found), certain, _reason(shape, named, [found[axis] for axis in free]))


def _by_length(lengths: Sequence[int], spare: str) -> str:
    """Return the letters of T, C, Z axes that have no label, from those that no other axis has."""
    if not lengths:
        return ""
    if len(lengths) == 3:
        _, second, third = lengths
        return "TZC" if _is_short(third, second) else "TCZ"
    other = next((letter for letter in "ZT" if letter in spare), "C")
    if len(lengths) == 1:
        # Channels taken for sections cost a click, sections taken for channels would all get the labels of one.
        return "C" if "C" in spare and lengths[0] <= 4 and len(spare) < 3 else other
    one, two = lengths
    if "C" in spare and _is_short(one, two):
        return "C" + other
    if "C" in spare and _is_short(two, one):
        return other + "C"
    return "TZ" if "T" in spare and "Z" in spare else spare


def _is_short(length: int, other: int) -> bool:
    return length <= 5 and length < other and (length > 1 or other > 5)


def _reason(shape: Sequence[int], named: Sequence[str], guessed: Sequence[str]) -> str:
    lengths = " × ".join(map(str, shape))
    if not guessed:
        return "The axes were read from their labels." if named else "The image has two axes, rows and columns."
    meant = [f"{letter} ({_MEANING[letter]})" for letter in guessed]
    what = " and ".join(filter(None, [", ".join(meant[:-1]), meant[-1]]))
    start = f"Labels name {', '.join(named)}; " if named else ""
    return f"{start}{what} {'was' if len(guessed) == 1 else 'were'} guessed from the shape {lengths}."
