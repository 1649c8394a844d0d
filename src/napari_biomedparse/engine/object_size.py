"""How large cells are in an image, and how far it is enlarged so that the network sees them as large as in training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median_low

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.selection import Place
from napari_biomedparse.engine.views import View, batched, plan_view
from napari_biomedparse.errors import SettingError
from napari_biomedparse.model.config import ModelConfig

# Cells are enlarged by at most this factor more than where their size is not known, and reduced by at most 1/8: smaller
# ones have no more pixels to show, and larger ones fill the picture. In between, factors of half an octave suffice.
# Half an octave more instead of 1.2 brought an F1 of 0.757 instead of 0.756 on H&E and 0.918 instead of 0.914 on
# fluorescence, for 49 tiles instead of 36 on 512 x 512 pixels and 16 instead of 9 on 256 x 256.
LARGEST, SMALLEST, STEPS = 1.2, 1 / 8, 2
# For objects seen close up to be crumbs of larger ones, so many times more of the picture must be objects from further
# away, and their probability so much higher: on nuclei enlarged 3 and 6 times it was 2.4 and 14 times, 0.98 beside 0.72
# and 0.82; at 0.5 to 2 times their size 0.8 to 1.1 times, 0.93 to 0.97 beside 0.96 to 0.98.
MORE, SURER = 1.5, 0.1
# Tiles that are looked at, at most, to learn how large cells are.
SAMPLE = 36
# Planes of a stack that are looked at to learn it for all of it.
PLANES = 3


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


def zoom_for(diameter: float | None, config: ModelConfig) -> float:
    """Return the enlargement at which cells of a diameter in pixels are about as large as the network wants them.

    If the diameter is None, that of cells of ordinary size.

    Raises
    ------
    SettingError
        If the diameter is not positive.
    """
    if diameter is None:
        return config.cell_zoom
    if not (diameter > 0 and math.isfinite(diameter)):
        raise SettingError(f"The diameter of cells must be a positive number of pixels, not {diameter}.")
    if config.cell_diameter is None:
        return config.cell_zoom
    factor = config.cell_diameter / diameter / config.cell_zoom
    factor = 2 ** (round(STEPS * math.log2(factor)) / STEPS)
    return float(config.cell_zoom * min(max(factor, SMALLEST), LARGEST))


class SizeSearch:
    """The search for the view that shows cells of unknown size as large as the network wants them.

    They are looked at as if they were of ordinary size. Where they seem larger, tiles may show parts of them, which are
    smaller than the whole: so they are looked at again from further away, and where they seem twice as large or more,
    from a little further still, until they do not seem larger than that. Where there are none, larger ones are looked
    for once, at a quarter of the enlargement; and where they do not seem larger also, for they may be crumbs of very
    large ones, if their probability is low: then much more of the picture is objects from there, and surely so.

    Parameters
    ----------
    shape
        Height and width of the plane in pixels.
    config
        The network's.

    Attributes
    ----------
    view
        To be looked at next; the one to use once it is ``done``.
    done
        Whether the search has ended; if not, :meth:`add` wants to know the sizes of the objects on :attr:`sample`.
    diameter
        Of the cells in pixels, to half an octave, as :func:`zoom_for` takes it; None if none were found.
    """

    def __init__(self, shape: tuple[int, int], config: ModelConfig) -> None:
        self._shape, self._config = shape, config
        self._usual = self.view = plan_view(shape, config.cell_zoom, config)
        self._looked = False
        # What the first look told, while it is compared with one from further away: the view, the objects' share of the
        # picture, and their probability.
        self._first: tuple[View, float, float] | None = None
        self.diameter: float | None = None
        self.done = self.view.zoom is None

    @property
    def sample(self) -> View:
        """Some tiles of the view, the same ones each time; of a few, every second batch as the view will ask for it."""
        tiles = self.view.tiles
        if len(tiles) <= SAMPLE:
            return View(self.view.batches[::2], self.view.zoom, self.view.overlap)
        chosen = np.sort(np.random.default_rng(0).choice(len(tiles), SAMPLE, replace=False))
        batches = batched([tiles[n] for n in chosen], len(self.view.batches[0]))
        return View(batches, self.view.zoom, self.view.overlap)

    def add(self, found: NDArray[np.float64]) -> None:
        """Take in the objects on :attr:`sample`: (N, 2), their diameters in pixels and mean probabilities."""
        now, known = self.view.zoom, typical_diameter(found[:, 0])
        assert now is not None
        areas = found[:, 0] ** 2 * np.pi / 4
        share = float(areas.sum()) / sum(tile.height * tile.width for tile in self.sample.tiles)
        sure = float((areas * found[:, 1]).sum() / areas.sum()) if known is not None else 0.0
        if self._first is not None:
            (view, least, unsure), self._first = self._first, None
            if share < MORE * least or sure < unsure + SURER:
                self.view, self.done = view, True
                return
        if known is None and self._looked:
            # Nor are there larger ones, or what seemed to be some is none.
            self.view, self.diameter, self.done = self._usual, None, True
            return
        first, self._looked = not self._looked, True
        far = plan_view(self._shape, self._config.cell_zoom / 4, self._config)
        if known is None:
            zoom = self._config.cell_zoom / 4
        else:
            zoom = zoom_for(known, self._config)
            self.done = zoom >= now
            if zoom <= now / 2:
                zoom = max(zoom / 2 ** (1 / STEPS), self._config.cell_zoom * SMALLEST)
            if self._config.cell_diameter is not None:
                self.diameter = self._config.cell_diameter / zoom
        self.view = plan_view(self._shape, zoom, self._config)
        if first and self.done and far.zoom is not None and sure <= 1 - SURER:
            self._first, self.view, self.done = (self.view, share, sure), far, False
            return
        # The whole plane at once shows them as large as that.
        self.done = self.done or self.view.zoom is None


def telling(places: Sequence[Place]) -> list[Place]:
    """Return the planes, spread over a stack, that tell for all its planes how large cells are."""
    ordered = sorted(places)
    count = min(PLANES, len(ordered))
    return [ordered[(2 * n + 1) * len(ordered) // (2 * count)] for n in range(count)]


def common(found: Iterable[float | None]) -> float | None:
    """Return the diameter that holds for a stack, of those found on its telling planes; None if nothing was."""
    known = [diameter for diameter in found if diameter is not None]
    return median_low(known) if known else None
