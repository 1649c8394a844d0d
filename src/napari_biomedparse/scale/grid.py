"""Cut a plane into blocks that are looked at one by one, each tile of the network in as few of them as can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from napari_biomedparse.engine.stack import Part
from napari_biomedparse.engine.views import View, batched, plan_view, zoom_of
from napari_biomedparse.model.config import ModelConfig
from napari_biomedparse.ontology import Scale

# Bytes that the pixels of one block may take in a worker, besides the network.
BLOCK_BYTES = 1 << 30
# Measured: bytes per pixel of a block that each prompt takes while it is looked for, and what there is besides.
PROMPT_BYTES, OTHER_BYTES = 16, 48


@dataclass(frozen=True)
class Block:
    """A part of a plane with pixels of its own.

    Attributes
    ----------
    number
        In the grid's order.
    rows, columns
        Of the selected part of the plane.
    """

    number: int
    rows: slice
    columns: slice

    @property
    def part(self) -> Part:
        """Rows and columns."""
        return self.rows, self.columns

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


@dataclass(frozen=True)
class Grid:
    """The blocks of every plane of a stack.

    Parameters
    ----------
    shape
        Height and width of the planes in pixels.
    side
        Of the blocks, in pixels; the last of each row and column may be smaller.
    """

    shape: tuple[int, int]
    side: int

    @classmethod
    def plan(cls, shape: tuple[int, int], prompts: int, stride: int, limit: int = BLOCK_BYTES) -> Grid:
        """Return a grid whose blocks take no more than a number of bytes while they are looked at.

        Parameters
        ----------
        shape
            Height and width of the planes in pixels.
        prompts
            How many are asked.
        stride
            Distance of the network's tiles in pixels: blocks begin where tiles begin.
        limit
            Bytes for the pixels of a block. A plane that takes no more is one block.
        """
        pixels = limit // bytes_per_pixel(prompts)
        if shape[0] * shape[1] <= pixels:
            return cls(shape, max(shape))
        return cls(shape, max(1, int(pixels**0.5) // stride) * stride)

    @property
    def blocks(self) -> list[Block]:
        """All blocks, row by row."""
        return self.under((slice(0, self.shape[0]), slice(0, self.shape[1])))

    @property
    def whole(self) -> bool:
        """Whether a plane is one block."""
        return self.side >= max(self.shape)

    @property
    def width(self) -> int:
        """How many blocks lie side by side."""
        return -(-self.shape[1] // self.side)

    def around(self, block: Block, halo: int) -> Part:
        """Return a block and what lies around it, as far as there is something."""
        return (
            slice(max(0, block.rows.start - halo), min(self.shape[0], block.rows.stop + halo)),
            slice(max(0, block.columns.start - halo), min(self.shape[1], block.columns.stop + halo)),
        )

    def under(self, part: Part) -> list[Block]:
        """Return the blocks that share pixels with a part of the plane."""
        rows, columns = (range(cut.start // self.side, -(-cut.stop // self.side)) for cut in part)
        return [self._block(row, column) for row in rows for column in columns]

    def _block(self, row: int, column: int) -> Block:
        top, left = row * self.side, column * self.side
        rows = slice(top, min(top + self.side, self.shape[0]))
        return Block(row * self.width + column, rows, slice(left, min(left + self.side, self.shape[1])))


def bytes_per_pixel(prompts: int) -> int:
    """Return the bytes that a pixel of a block takes while a number of prompts are looked for."""
    return PROMPT_BYTES * (prompts + 2) + OTHER_BYTES


def stride_of(config: ModelConfig, scales: Sequence[Scale]) -> int:
    """Return the distance in pixels at which a network's tiles follow each other on a plane without end."""
    views = [_view((1 << 20, 1), zoom_of(scale, config), config) for scale in scales]
    strides = [view.tiles[0].height - view.overlap for view in views if view.zoom is not None]
    return max(strides, default=1)


def tiles_of(block: Block, shape: tuple[int, int], zoom: float | None, config: ModelConfig) -> View:
    """Return those tiles of a whole plane's view that show pixels of a block; none where the plane is shown at once."""
    view = _view(shape, zoom, config)
    if view.zoom is None:
        return View((), None, 0)
    rows, columns = block.part
    tiles = [
        tile
        for tile in view.tiles
        if tile.top < rows.stop
        and rows.start < tile.top + tile.height
        and tile.left < columns.stop
        and columns.start < tile.left + tile.width
    ]
    return View(batched(tiles, len(view.batches[0])), view.zoom, view.overlap)


@lru_cache(maxsize=8)
def _view(shape: tuple[int, int], zoom: float | None, config: ModelConfig) -> View:
    return plan_view(shape, zoom, config)
