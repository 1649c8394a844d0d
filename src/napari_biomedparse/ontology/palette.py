"""Colours for a set of prompts that are shown together."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from typing import Literal

from napari_biomedparse.ontology.lookup import colour_of

PaletteKind = Literal["ontology", "colour-blind"]
RGBA = tuple[float, float, float, float]

# Steps of the golden ratio spread shades evenly, however many there are.
_GOLDEN = 0.618034
# How far shades go from the object's own lightness, up and down.
_SPREAD = 0.22
# Okabe & Ito, "Color Universal Design", 2008: told apart by all common kinds of colour vision. Black is left out.
OKABE_ITO = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")


def palette(prompts: Sequence[str], kind: PaletteKind = "ontology") -> list[RGBA]:
    """Return a colour, red, green, blue and alpha from 0 to 1, for each prompt.

    Parameters
    ----------
    prompts
        In the order asked.
    kind
        ``"ontology"``: each object's own colour, the same in every image. ``"colour-blind"``: the colours of Okabe and
        Ito by order, each time darker once they are used up.
    """
    if kind == "ontology":
        return [_rgba(colour_of(prompt, number)) for number, prompt in enumerate(prompts, start=1)]
    found = []
    for number in range(len(prompts)):
        rounds, place = divmod(number, len(OKABE_ITO))
        red, green, blue, alpha = _rgba(OKABE_ITO[place])
        dark = 0.6**rounds
        found.append((red * dark, green * dark, blue * dark, alpha))
    return found


def shade(colour: RGBA, number: int) -> RGBA:
    """Return the ``number``-th shade of a colour, of the same hue."""
    red, green, blue, alpha = colour
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    moved = lightness + _SPREAD * (2 * ((number * _GOLDEN) % 1) - 1)
    return (*colorsys.hls_to_rgb(hue, min(0.92, max(0.18, moved)), saturation), alpha)


def by_label(names: Mapping[int, str], colours: Mapping[str, RGBA], separate: bool) -> dict[int, RGBA]:
    """Return the colour of each label.

    Parameters
    ----------
    names
        Label -> prompt.
    colours
        Prompt -> colour.
    separate
        Whether labels are separate objects, each in a shade of its prompt's colour.
    """
    return {label: shade(colours[prompt], label) if separate else colours[prompt] for label, prompt in names.items()}


def _rgba(colour: str) -> RGBA:
    red, green, blue = (int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5))
    return red, green, blue, 1.0
