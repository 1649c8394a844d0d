"""Colours of labels: an object's own, shades of it for separate ones, nothing for hidden ones."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Set

from napari.utils.colormaps import DirectLabelColormap

RGBA = tuple[float, float, float, float]
# Steps of the golden ratio spread shades evenly, however many there are.
_GOLDEN = 0.618034
# How far shades go from the object's own lightness, up and down.
_SPREAD = 0.22


def label_colours(
    names: Mapping[int, str], colours: Mapping[str, RGBA], hidden: Set[str], separate: bool
) -> DirectLabelColormap:
    """Return the colours of labels.

    Parameters
    ----------
    names
        Value -> prompt.
    colours
        Prompt -> colour.
    hidden
        Prompts that are not shown.
    separate
        Whether values are separate objects, each in a shade of its prompt's colour.
    """
    clear = (0.0, 0.0, 0.0, 0.0)
    table: dict[int | None, RGBA] = {None: clear, 0: clear}
    for value, prompt in names.items():
        own = colours[prompt]
        table[value] = clear if prompt in hidden else shade(own, value) if separate else own
    return DirectLabelColormap(color_dict=table)


def shade(colour: RGBA, number: int) -> RGBA:
    """Return the ``number``-th shade of a colour, of the same hue."""
    red, green, blue, alpha = colour
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    moved = lightness + _SPREAD * (2 * ((number * _GOLDEN) % 1) - 1)
    return (*colorsys.hls_to_rgb(hue, min(0.92, max(0.18, moved)), saturation), alpha)
