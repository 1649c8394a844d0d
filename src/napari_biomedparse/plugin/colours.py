"""Colours of labels: an object's own, shades of it for separate ones, nothing for hidden ones."""

from __future__ import annotations

from collections.abc import Mapping, Set

import numpy as np
from napari.utils.colormaps import DirectLabelColormap

from napari_biomedparse.ontology.palette import RGBA, by_label
from napari_biomedparse.plugin.many_colours import CLEAR, dense_colours

# Above so many colours napari 0.9.2 takes another kind of texture, on which "show selected" shows nothing.
MOST = 65_000


def label_colours(
    names: Mapping[int, str], colours: Mapping[str, RGBA], hidden: Set[str], separate: bool
) -> DirectLabelColormap:
    """Return the colours of labels; those without a name, such as ones painted by hand, are grey.

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
    shown = {value: prompt for value, prompt in names.items() if prompt not in hidden}
    table = dict.fromkeys(names, CLEAR) | by_label(shown, colours, separate)
    each = list(table.values())
    if len(set(each)) > MOST:
        # A screen shows no finer ones.
        each = [
            (red, green, blue, alpha) for red, green, blue, alpha in (np.rint(np.multiply(each, 255)) / 255).tolist()
        ]
    places: dict[RGBA, int] = {}
    which = [places.setdefault(colour, len(places)) for colour in each]
    return dense_colours(np.fromiter(table, np.int64, len(table)), np.asarray(which, np.int64), list(places))
