"""What the network is shown of an image for objects of each scale, and under which keys that is kept."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.preprocess import Fit
from napari_biomedparse.engine.tiling import Tile, plan_tiles
from napari_biomedparse.model.config import ModelConfig
from napari_biomedparse.ontology import Scale

# Share of a tile's side that it has in common with its neighbour: with 0.25 nuclei of the training images were found no
# better, in more tiles.
OVERLAP = 0.22
# Tiles go through the network together up to this many input pixels: fewer, larger steps for a small network.
BATCH_PIXELS = 1 << 19

# Tiles of one size that go through the network together.
Batch = tuple[Tile, ...]


@dataclass(frozen=True)
class View:
    """An image cut for objects of one scale: batches of tiles, their enlargement, their overlap in pixels."""

    batches: tuple[Batch, ...]
    zoom: float | None
    overlap: int

    @property
    def tiles(self) -> list[Tile]:
        """All tiles."""
        return [tile for batch in self.batches for tile in batch]

    @property
    def nbytes(self) -> int:
        """Bytes that it holds, about."""
        return 100 * len(self.tiles)

    @property
    def summary(self) -> dict[str, float | None]:
        """How many tiles there are, height, width and overlap of one in pixels, and its enlargement (None: to fit)."""
        tiles = self.tiles
        height, width = (tiles[0].height, tiles[0].width) if tiles else (0, 0)
        return {"count": len(tiles), "height": height, "width": width, "overlap": self.overlap, "zoom": self.zoom}


@dataclass
class EncodedImage:
    """An image ready for prompts, from :meth:`~napari_biomedparse.Predictor.encode`.

    It belongs to the predictor that made it, which keeps its encoding under a key made from the pixels; what had to be
    dropped there is computed again when a prompt needs it.

    Attributes
    ----------
    rgb
        What the network sees, uint8 (H, W, 3).
    fit
        How it is brought to the network's square.
    diameter
        Of the cells in it, in pixels, as given or measured; None if neither.
    views
        Scale -> view; and that of objects which are shown in a size of their own.
    """

    rgb: NDArray[np.uint8]
    fit: Fit
    diameter: float | None = None
    views: dict[str, View] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rgb.shape[0], self.rgb.shape[1]

    @cached_property
    def content(self) -> Hashable:
        """What tells this image from others: a digest of its pixels, its shape, and how it is laid."""
        return blake2b(self.rgb.data, digest_size=16).digest(), self.shape, self.fit

    def view(self, scale: Scale, config: ModelConfig) -> View:
        """Return the view for a scale, planned on first use for a network of this configuration."""
        if scale not in self.views:
            zoom = None if self.fit == "stretch" else zoom_of(scale, config)
            self.views[scale] = plan_view(self.shape, zoom, config)
        return self.views[scale]


def zoom_of(scale: Scale, config: ModelConfig) -> float | None:
    """Return the enlargement at which a network is shown objects of a scale; None for the whole image at once."""
    zooms = {"organ": None, "tissue": config.tissue_zoom, "cell": config.cell_zoom, "organelle": config.cell_zoom}
    return zooms[scale]


def plan_view(shape: tuple[int, int], zoom: float | None, config: ModelConfig) -> View:
    """Plan how an image is shown: at once, or in tiles where that shows its objects less enlarged than they need.

    Parameters
    ----------
    shape
        Height and width in pixels.
    zoom
        Enlargement at which the network is to see the objects; None for the whole image at once.
    config
        The network's.
    """
    fill = config.input_size / max(shape)
    if zoom is None or (config.cell_fill and zoom <= fill):
        return View(((Tile(0, 0, *shape),),), None, 0)
    side = int(config.input_size / zoom)
    overlap = int(side * OVERLAP)
    tiles = plan_tiles(shape, side, overlap)
    together = max(1, BATCH_PIXELS // config.input_size**2)
    return View(batched(tiles, together), zoom, overlap)


def batched(tiles: Sequence[Tile], together: int) -> tuple[Batch, ...]:
    """Return tiles in batches of at most ``together``."""
    return tuple(tuple(tiles[n : n + together]) for n in range(0, len(tiles), together))
