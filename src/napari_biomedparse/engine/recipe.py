"""All that a result depends on, in one record that can be kept, read and done again."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from napari_biomedparse import __version__
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.errors import BiomedParseError


class RecipeError(BiomedParseError):
    """A recipe that cannot be followed; the message says why."""


@dataclass(frozen=True)
class Recipe:
    """What was asked of which model on which part of an image, and how the masks became labels.

    Parameters
    ----------
    selection
        What of the image is parsed.
    prompts
        What is looked for; if there is none, everything that the model knows in the modality.
    modality
        Kind of image; guessed if None.
    model
        Name or file of the model.
    weights
        SHA-256 of its file.
    paint
        How masks become labels.
    link
        Whether separate objects keep their number over z and t.
    source
        Name or path of the image.
    diameter
        Of the cells in pixels of the selected level, for a model that sees them in one size; measured if None.
    version
        Of this package.
    """

    # A setting that is not known, as of a newer version's recipe, is refused and not lost without a word.
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic reads it)

    selection: Selection
    prompts: tuple[str, ...] = ()
    modality: str | None = None
    model: str = "mini"
    weights: str = ""
    paint: Paint = field(default_factory=Paint)
    link: bool = False
    source: str = ""
    diameter: float | None = None
    version: str = __version__

    @property
    def recognizes(self) -> bool:
        """Whether everything is looked for, not certain prompts."""
        return not self.prompts

    def as_json(self) -> str:
        """Return the recipe as JSON on one line."""
        text: str = _ADAPTER.dump_json(self).decode()
        return text

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Return the recipe that :meth:`as_json` wrote.

        Raises
        ------
        RecipeError
            If it is none.
        """
        try:
            found: Recipe = _ADAPTER.validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "it"
            raise RecipeError(f"This is no recipe of napari-biomedparse: {place}: {first['msg']}.") from error
        return found

    def script(self) -> str:
        """Return a Python script that gives the same labels, from the image's file or one to be filled in."""
        path = self.source or "IMAGE"
        text = json.dumps(json.loads(self.as_json()), indent=1, ensure_ascii=False)
        asked = ", ".join(self.prompts) or "everything known"
        told = f"Find {asked}: the same labels as in napari, from napari-biomedparse {self.version}."
        # Prompts may hold quotes and backslashes, which would end or change a text that is pasted as it is.
        chosen = self.selection
        read = f"read_array({path!r}, {chosen.axes!r}, rgb={chosen.rgb})"
        if chosen.level:
            # A pyramid, finest level first.
            read = f"[{read[:-1]}, level=level) for level in range({chosen.level + 1})]"
        return f'''{told!r}

import tifffile

from napari_biomedparse import Recipe, follow
from napari_biomedparse.io.read import read_array

RECIPE = Recipe.from_json(r"""
{text}
""")

image = {read}
labels = follow(RECIPE, image)
tifffile.imwrite("labels.tif", labels)
'''

    def command(self) -> str:
        """Return a command that gives the same labels, for a POSIX shell."""
        path = shlex.quote(self.source or "IMAGE")
        return f"napari-biomedparse replay {path} --recipe {shlex.quote(self.as_json())} --output labels.ome.tif"


_ADAPTER: TypeAdapter[Recipe] = TypeAdapter(Recipe)
