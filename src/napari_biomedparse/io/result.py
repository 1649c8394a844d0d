"""What is written to a file: labels in any dimension with names, colours, sizes and measurements."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_biomedparse.engine.frames import Frames
from napari_biomedparse.engine.measure_findings import measure_findings
from napari_biomedparse.engine.measure_stack import Cell, stack_columns
from napari_biomedparse.engine.units import UNITS, Unit, short_unit
from napari_biomedparse.errors import BiomedParseError

if TYPE_CHECKING:
    from napari_biomedparse.engine.follow import Findings
    from napari_biomedparse.engine.recipe import Recipe

# Red, green, blue and opacity, each from 0 to 1.
RGBA = tuple[float, float, float, float]


class ExportError(BiomedParseError):
    """Something that cannot be written; the message says why and what to do."""


@dataclass(frozen=True)
class Export:
    """Labels and what is known about them.

    Parameters
    ----------
    labels
        Integers, 0 is background: a numpy, dask or zarr array, or anything with a shape, a dtype and basic indexing.
    axes
        What its axes are, a letter of T, C, Z, Y, X each. Of several channels the first is taken.
    names
        Label -> prompt.
    colours
        Label -> colour.
    spacing
        Sizes of a pixel of the labels along Z, Y, X in ``unit`` and of a frame along T in seconds, as far as known.
    unit
        Unit of length, in any usual way of writing it; None or ``"pixel"`` where it is not known.
    title
        Name of the labels.
    source
        The image file, if there is one.
    model
        The network that found the objects.
    rows
        Measurements, as :func:`~napari_biomedparse.engine.measure_stack.measure_stack` gives them.
    columns
        Of the rows; by default those that the rows have, or without any those of labels alone.
    downsampling
        Letter -> how many pixels of the image's finest level a pixel of the labels spans along this axis; 1 by
        default.
    plane
        The axes of the planes that the rows are about, rows first.

    Raises
    ------
    AxesError
        If the axes do not fit the labels.
    ExportError
        If the labels are no integers or have no pixels.
    """

    labels: Any
    axes: str
    names: Mapping[int, str]
    colours: Mapping[int, RGBA] = field(default_factory=dict)
    spacing: Mapping[str, float] = field(default_factory=dict)
    unit: str | None = None
    title: str = "labels"
    source: Path | None = None
    model: str = ""
    rows: Sequence[Mapping[str, Cell]] = ()
    columns: Sequence[str] = ()
    downsampling: Mapping[str, float] = field(default_factory=dict)
    plane: str = "YX"

    def __post_init__(self) -> None:
        kind = np.dtype(self.labels.dtype)
        if kind.kind not in "iu":
            raise ExportError(f"Labels must be integers to be written, not {kind}.")
        if 0 in self.frames.sizes:
            raise ExportError("There are no pixels to write.")

    @classmethod
    def of(
        cls,
        findings: Findings,
        recipe: Recipe,
        labels: Any,
        names: Mapping[int, str],
        spacing: Mapping[str, float],
        unit: str | None,
        channels: Sequence[str] = (),
        **about: Any,
    ) -> Export:
        """Return labels that were made from findings, measured; ``about`` has the colours, the title and the source.

        Parameters are those of :func:`~napari_biomedparse.engine.measure_findings.measure_findings`.
        """
        stack = findings.stack
        columns, rows = measure_findings(findings, recipe, labels, names, spacing, unit, channels)
        return cls(
            labels,
            stack.selection.axes,
            names,
            spacing=spacing,
            unit=unit,
            model=recipe.model,
            rows=rows,
            columns=columns,
            downsampling=stack.downsampling,
            plane=stack.selection.plane,
            **about,
        )

    @cached_property
    def frames(self) -> Frames:
        """The labels, read plane by plane."""
        return Frames(self.labels, self.axes)

    @property
    def length_unit(self) -> Unit | None:
        """The unit of length, if it is known."""
        return UNITS.get(short_unit(self.unit)) if self.unit else None

    @property
    def table_columns(self) -> list[str]:
        """The columns of the rows."""
        if self.columns:
            return list(self.columns)
        if self.rows:
            return list(dict.fromkeys(column for row in self.rows for column in row))
        return stack_columns(self.frames, spacing={**self.spacing}, unit=self.unit, plane=self.plane)

    def row(self, label: int, frame: int, section: int) -> Mapping[str, Cell]:
        """Return the measurements of a label where it lies on a plane of Y and X, empty if there are none.

        Those of a volume hold on all its sections. A section cuts through many coronal or sagittal planes; an object
        that was measured on several of these has none there.
        """
        return self._rows.get((frame, section, label)) or self._rows.get((frame, None, label)) or {}

    @cached_property
    def _rows(self) -> dict[tuple[Cell, Cell, Cell], Mapping[str, Cell]]:
        """Frame, section (None for any of them) and label -> its row; an empty one where there are several."""
        along_z = set(self.plane) == {"Y", "X"}
        found: dict[tuple[Cell, Cell, Cell], Mapping[str, Cell]] = {}
        for row in self.rows:
            key = row.get("frame", 0), row.get("plane") if along_z else None, row["label"]
            found[key] = {} if key in found else row
        return found

    def rgb(self, label: int) -> list[int] | None:
        """Return a label's red, green and blue, 0-255, if it has a colour."""
        return self.rgba(label)[:3] if label in self.colours else None

    def rgba(self, label: int) -> list[int]:
        """Return the red, green, blue and opacity, 0-255, of a label that has a colour."""
        return in_bytes(self.colours[label])

    def dtype(self, *wanted: type[np.integer[Any]]) -> np.dtype[Any]:
        """Return the first of some types that holds all labels.

        Raises
        ------
        ExportError
            If none does.
        """
        if self.labels.dtype == wanted[0]:
            return np.dtype(wanted[0])
        least = greatest = 0
        for plane in self.frames.planes():
            least, greatest = min(least, int(plane.min())), max(greatest, int(plane.max()))
        for kind in wanted:
            if np.iinfo(kind).min <= least and greatest <= np.iinfo(kind).max:
                return np.dtype(kind)
        raise ExportError(
            f"The labels go from {least} to {greatest}, more than this format holds; renumber them from 1 on."
        )


def in_bytes(colour: RGBA) -> list[int]:
    """Return a colour's red, green, blue and opacity, 0-255."""
    return [min(255, max(0, round(255 * float(part)))) for part in colour]


def need(module: str, use: str, install: str) -> Any:
    """Return an optional module.

    Parameters
    ----------
    module
        Its name.
    use, install
        What needs it and what to install, for the message.

    Raises
    ------
    ExportError
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ExportError(f"{use} needs {module}: run pip install {install!r}, or choose another format.") from None
