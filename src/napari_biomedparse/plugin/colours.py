"""Colours of labels: an object's own, shades of it for separate ones, nothing for hidden ones."""

from __future__ import annotations

from collections.abc import Mapping, Set

from napari.utils.colormaps import DirectLabelColormap

from napari_biomedparse.ontology.palette import RGBA, by_label


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
    shown = {value: prompt for value, prompt in names.items() if prompt not in hidden}
    table = dict.fromkeys([None, 0, *names], clear) | by_label(shown, colours, separate)
    return DirectLabelColormap(color_dict=table)
