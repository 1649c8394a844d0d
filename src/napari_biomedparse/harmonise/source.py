"""What a data set brought from elsewhere is: its description, in one file beside the data or found by looking."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml  # type: ignore[import-untyped]
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from napari_biomedparse.engine.hounsfield import named_window, site_window
from napari_biomedparse.engine.preprocess import Intensity
from napari_biomedparse.errors import BiomedParseError
from napari_biomedparse.harmonise.names import Context
from napari_biomedparse.harmonise.patterns import PathPattern
from napari_biomedparse.ontology import find_modality, normalise

DESCRIPTIONS = ("biomedparse.yaml", "biomedparse.yml", "biomedparse.json")
Plane = Literal["axial", "coronal", "sagittal"]
# Label -> the values that mean it.
Table = dict[str, list[int]]
# Added to 0xrrggbb, so that no colour is taken for a number of an object.
COLOUR = 1 << 24


class SourceError(BiomedParseError):
    """A source that cannot be used; the message says what is missing and where to say it."""


def colour_values(colours: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return a value for each colour, (..., 3 or 4): of a grey its level, of others one that no grey has.

    Alpha is dropped.
    """
    red, green, blue = (colours[..., n].astype(np.int64) for n in range(3))
    return np.where((red == green) & (green == blue), red, COLOUR | red << 16 | green << 8 | blue)


def value_text(value: int) -> str:
    """Return a mask's value as a table of labels has it."""
    return f"#{value - COLOUR:06x}" if value >= COLOUR else str(value)


def _value(word: Any) -> int:
    """Return a mask's value: a whole number, or a colour as ``#rrggbb``."""
    text = str(word).strip()
    return int(colour_values(np.array([*bytes.fromhex(text[1:])]))) if text.startswith("#") else int(text)


def _is_value(word: Any) -> bool:
    return bool(re.fullmatch(r"\s*(\d+|#[0-9a-fA-F]{6})\s*", str(word)))


def read_table(content: Any) -> Table:
    """Return label -> values from a table written either way round; the value 0 is the background.

    Parameters
    ----------
    content
        ``{1: "liver"}``, ``{"liver": 1}``, ``{"liver": [1, 2]}`` or ``[{"id": 1, "name": "liver"}]``.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if isinstance(content, list):
        content = _by_name(content)
    if not isinstance(content, dict) or not content:
        raise ValueError("a table of labels must be like {1: liver, 2: spleen}")
    table: Table = {}
    for left, right in content.items():
        if _is_value(left) and isinstance(right, str):
            label, values = right, [_value(left)]
        elif isinstance(right, list) and all(map(_is_value, right)):
            label, values = str(left), [_value(word) for word in right]
        elif _is_value(right):
            label, values = str(left), [_value(right)]
        else:
            raise ValueError(f"{left!r}: {right!r} is no pair of a whole number and a label")
        if any(values):
            table.setdefault(label.strip(), []).extend(filter(None, values))
    return table


def _by_name(rows: list[Any]) -> dict[str, list[Any]]:
    """Return name -> numbers of entries such as ``{"id": 1, "name": "liver"}``, as COCO's categories are written."""
    table: dict[str, list[Any]] = {}
    for row in rows:
        number, name = (
            next((row[word] for word in words if isinstance(row, dict) and word in row), None)
            for words in (("id", "value"), ("name", "label"))
        )
        if number is None or not isinstance(name, str):
            raise ValueError(f"{row!r} is no label with an id and a name")
        table.setdefault(name, []).append(number)
    return table


def read_table_file(path: Path) -> Table:
    """Read a table of labels: JSON, or rows of a value and a label, either first, parted by comma, semicolon or tab.

    Raises
    ------
    SourceError
        If the file is no such table.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            return read_table(json.loads(text))
        table = max((_rows(text, sign) for sign in ",;\t"), key=len)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} is no table of labels ({error}); write {{1: liver}} or value,label rows.") from None
    if not table:
        raise SourceError(f"{path} names no label; write rows of value,label such as 1,liver.")
    return read_table(_by_name(table))


def _rows(text: str, sign: str) -> list[dict[str, str]]:
    """Return the rows with a value and a label that text has if its cells are parted by a sign."""
    pairs = [row[:2] for row in csv.reader(text.splitlines(), delimiter=sign) if len(row) >= 2]
    value = max((0, 1), key=lambda place: sum(_is_value(pair[place]) for pair in pairs))
    return [{"id": pair[value], "name": pair[1 - value]} for pair in pairs if _is_value(pair[value])]


class MaskRule(BaseModel):
    """Masks of one kind.

    Attributes
    ----------
    files
        Pattern of their paths, with the named parts of the images' pattern and perhaps ``{label}``.
    label
        What every non-zero pixel is.
    labels
        What each value is.
    instances
        Whether values, or several files of one label, number separate objects.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: str
    label: str | None = None
    labels: Annotated[Table, BeforeValidator(read_table)] | None = None
    instances: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> MaskRule:
        named = "label" in PathPattern(self.files).names
        if (self.label is not None) + (self.labels is not None) + named > 1:
            raise ValueError(f"{self.files}: name its objects by one of label, labels and {{label}}")
        if self.instances and self.labels:
            raise ValueError(f"{self.files}: instances need one label, not a table")
        return self


class Source(BaseModel):
    """A description of a source; see ``docs/data.md``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1)]
    modality: Annotated[str, Field(min_length=1, pattern=r"^[^_/+]+$")]
    site: Annotated[str, Field(min_length=1, pattern=r"^[^_/+]+$")]
    images: str
    masks: Annotated[list[MaskRule], Field(min_length=1)]
    group: str | None = None
    intensity: str | tuple[float, float] = "auto"
    plane: Plane = "axial"
    channel: Annotated[int, Field(ge=0)] | None = None
    licence: str = ""
    licence_tier: str = ""
    source: str = ""
    citation: str = ""

    @field_validator("modality")
    @classmethod
    def _modality_by_its_name(cls, modality: str) -> str:
        found = find_modality(modality)
        return found.name if found and normalise(modality) in map(normalise, found.names) else modality

    @field_validator("group")
    @classmethod
    def _group_is_regex(cls, group: str | None) -> str | None:
        if group is not None:
            try:
                groups = re.compile(group).groups
            except re.error as error:
                raise ValueError(f"{group!r} is no regular expression: {error}") from None
            if groups != 1:
                raise ValueError(f"{group!r} must have one pair of parentheses, around the patient or slide")
        return group

    @model_validator(mode="after")
    def _parts_fit(self) -> Source:
        pattern = PathPattern(self.images)
        if not {"image", "group"} & set(pattern.names) or "label" in pattern.names:
            raise ValueError(f"images: {self.images!r} must have {{image}} or {{group}}, and no {{label}}")
        if self.group and "group" in pattern.names:
            raise ValueError("give the group once: as {group} in images, or as a regular expression")
        for rule in self.masks:
            missing = set(pattern.names) - set(PathPattern(rule.files).names)
            if missing:
                raise ValueError(f"masks: {rule.files!r} lacks {{{missing.pop()}}}, which images has")
        if self.intensity not in ("auto", "percentile", "none"):
            self.intensity_for(16)
        return self

    @property
    def context(self) -> Context:
        """Modality and site, which decide what a label means."""
        return Context(self.modality, self.site)

    @property
    def has_splits(self) -> bool:
        """Whether the source says itself what is for training and what for testing."""
        return "split" in PathPattern(self.images).names

    @property
    def group_by(self) -> str:
        """What tells patients or slides apart: a regular expression, ``{group}``, or ``image`` where nothing does."""
        return self.group or ("{group}" if "group" in PathPattern(self.images).names else "image")

    def intensity_for(self, bits: int) -> Intensity:
        """Return how values of so many bits become 0-255: for CT by the window of its site, unless it has 8 bits.

        Raises
        ------
        ImageError
            If no window has the name that is given.
        """
        if not isinstance(self.intensity, str):
            return self.intensity
        if self.intensity in ("percentile", "none"):
            return self.intensity  # type: ignore[return-value]
        of_site = self.intensity == "auto"
        window = site_window(f"{self.modality}-{self.site}") if of_site else named_window(self.intensity)
        return window if window and bits > 8 else "auto"


def find_description(folder: Path) -> dict[str, Any] | None:
    """Return the content of a source's description file, or None if it has none.

    Raises
    ------
    SourceError
        If the file is no table of YAML or JSON.
    """
    path = next((folder / name for name in DESCRIPTIONS if (folder / name).is_file()), None)
    return read_description(path) if path else None


def read_description(path: Path) -> dict[str, Any]:
    """Return the content of a description file.

    Raises
    ------
    SourceError
        If it cannot be read as YAML or JSON.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise SourceError(f"{path} must hold names and values, such as modality: CT.")
    return content


def make_source(content: dict[str, Any], where: str) -> Source:
    """Check a description.

    Raises
    ------
    SourceError
        With a line per mistake.
    """
    try:
        return Source.model_validate(content)
    except ValidationError as error:
        lines = []
        for mistake in error.errors():
            place = ".".join(str(part) for part in mistake["loc"])
            if mistake["type"] == "missing":
                option = f" (or give --{place})" if place in ("modality", "site") else ""
                lines.append(f"{place} is missing{option}")
            else:
                reason = mistake["msg"].removeprefix("Value error, ")
                if mistake["type"] == "string_pattern_mismatch":
                    reason = "must not contain _, / or +"
                lines.append(f"{place}: {reason}" if place else reason)
        raise SourceError(f"The description of {where} is not complete: " + "; ".join(lines) + ".") from None
