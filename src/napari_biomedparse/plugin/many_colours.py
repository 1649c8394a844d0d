"""Colours of as many labels as there are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.colormaps._accelerated_cmap import minimum_dtype_for_labels
from numpy.typing import NDArray

from napari_biomedparse.ontology.palette import RGBA

# Above this label a table with a place for each takes too much memory.
HIGHEST = 2**28
# Of labels that were not given a colour.
OTHERS = (0.5, 0.5, 0.5, 1.0)
# Of the background, and of what is not shown.
CLEAR = (0.0, 0.0, 0.0, 0.0)


class _TableColormap(DirectLabelColormap):
    """Without numba napari 0.9.2 refuses labels above 65,536, though its table is small as long as they are dense."""

    @cached_property
    def _array_map(self) -> NDArray[Any]:
        places = {
            label: at for label, at in self._values_mapping_to_minimum_values_set()[0].items() if label is not None
        }
        table = np.zeros(max(places, default=0) + 2, minimum_dtype_for_labels(self._num_unique_colors + 2))
        table[np.fromiter(places, np.int64, len(places))] = np.fromiter(places.values(), table.dtype, len(places))
        return table


def table_colours(
    labels: NDArray[np.integer[Any]], which: NDArray[np.integer[Any]], colours: Sequence[RGBA]
) -> DirectLabelColormap | None:
    """Return the colours of labels, or None where a label is above :data:`HIGHEST`; all other labels are grey.

    Parameters
    ----------
    labels
        (N,) those that have a colour, 1 or more each; others are left out.
    which
        (N,) the position of each label's colour.
    colours
        Each colour once, however many labels have it.
    """
    if labels.max(initial=0) > HIGHEST:
        return None
    return dense_colours(labels, which, colours)


def dense_colours(
    labels: NDArray[np.integer[Any]], which: NDArray[np.integer[Any]], colours: Sequence[RGBA]
) -> DirectLabelColormap:
    """Return what :func:`table_colours` does, but with labels above :data:`HIGHEST` grey too."""
    known = (labels > 0) & (labels <= HIGHEST)
    labels, which = labels[known], which[known]
    colormap = _TableColormap(color_dict={None: OTHERS, 0: CLEAR})
    # napari's own check of each entry takes minutes for millions of labels.
    parts = [np.asarray(colour, np.float32) for colour in colours]
    colormap.color_dict.update(zip(labels.tolist(), (parts[at] for at in which.tolist()), strict=True))
    return colormap
