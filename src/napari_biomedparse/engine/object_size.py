"""How large cells are in an image, and how far it is enlarged so that the network sees them as large as in training."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.views import View, batched, plan_view
from napari_biomedparse.model.config import ModelConfig

# Cells are enlarged by at most this factor more than where their size is not known, and reduced by at most 1/8: smaller
# ones have no more pixels to show, and larger ones fill the picture. In between, factors of half an octave suffice.
LARGEST, SMALLEST, STEPS = 2**0.5, 1 / 8, 2
# Tiles that are looked at to learn how large cells are, and how often it is looked again where they were far too large.
SAMPLE, LOOKS = 36, 3


def diameters(numbers: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the diameters in pixels of circles with the areas of the objects.

    Parameters
    ----------
    numbers
        Integers (H, W): the number of each pixel's object, 0 is background.
    """
    areas = np.bincount(numbers.ravel())[1:]
    found: NDArray[np.float64] = np.sqrt(areas[areas > 0] * 4 / np.pi)
    return found


def typical_diameter(found: NDArray[np.float64]) -> float | None:
    """Return the median diameter, each object counted by its diameter; None if there is no object.

    So crumbs, of which there may be many, hardly count.
    """
    if not len(found):
        return None
    ordered = np.sort(found)
    weight = np.cumsum(ordered)
    return float(ordered[np.searchsorted(weight, weight[-1] / 2)])


def zoom_for(diameter: float, config: ModelConfig) -> float:
    """Return the enlargement at which cells of a diameter in pixels are about as large as the network wants them.

    Raises
    ------
    ValueError
        If the diameter is not positive.
    """
    if not (diameter > 0 and math.isfinite(diameter)):
        raise ValueError(f"The diameter of cells must be a positive number of pixels, not {diameter}.")
    if config.cell_diameter is None:
        return config.cell_zoom
    factor = min(max(config.cell_diameter / diameter / config.cell_zoom, SMALLEST), LARGEST)
    return float(config.cell_zoom * 2 ** (round(STEPS * math.log2(factor)) / STEPS))


class SizeSearch:
    """The search for the view that shows cells of unknown size as large as the network wants them.

    They are looked at as if they were of ordinary size. Where they turn out to be much larger, so that tiles show parts
    of them only, they are looked at again; where there are none, once more at a quarter of that enlargement.

    Parameters
    ----------
    shape
        Height and width of the plane in pixels.
    config
        The network's.

    Attributes
    ----------
    view
        The best so far.
    done
        Whether it is final; if not, :meth:`add` wants to know the sizes of the objects on the tiles of :attr:`sample`.
    """

    def __init__(self, shape: tuple[int, int], config: ModelConfig) -> None:
        self._shape, self._config = shape, config
        self._usual = self.view = plan_view(shape, config.cell_zoom, config)
        self._looks = 0
        self.done = self.view.zoom is None

    @property
    def sample(self) -> View:
        """Some tiles of the view, the same ones each time; of a few, all."""
        tiles = self.view.tiles
        if len(tiles) <= SAMPLE:
            return self.view
        chosen = np.sort(np.random.default_rng(0).choice(len(tiles), SAMPLE, replace=False))
        batches = batched([tiles[n] for n in chosen], len(self.view.batches[0]))
        return View(batches, self.view.zoom, self.view.overlap)

    def add(self, found: NDArray[np.float64]) -> None:
        """Take in the diameters in pixels of the objects on :attr:`sample`."""
        self._looks += 1
        now, known = self.view.zoom, typical_diameter(found)
        assert now is not None
        if known is None and self._looks > 1:
            # Nor are there larger ones.
            self.view, self.done = self._usual, True
            return
        zoom = self._config.cell_zoom / 4 if known is None else zoom_for(known, self._config)
        self.view = plan_view(self._shape, zoom, self._config)
        self.done = self._looks == LOOKS or self.view.zoom is None or (known is not None and zoom >= now)
