"""Blocks cover a plane once, fit the memory given, and see the tiles of the undivided plane."""

import numpy as np
import pytest

from napari_biomedparse.engine.views import plan_view, zoom_of
from napari_biomedparse.scale.grid import Grid, bytes_per_pixel, stride_of, tiles_of

SHAPES = [(1, 1), (7, 300), (383, 383), (500, 250), (96, 97)]


def covered(grid, parts):
    count = np.zeros(grid.shape, int)
    for part in parts:
        count[part] += 1
    return count


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("side", [1000, 96, 40])
def test_blocks_cover_each_pixel_once_and_are_numbered_row_by_row(shape, side):
    grid = Grid(shape, side)
    blocks = grid.blocks
    assert (covered(grid, [block.part for block in blocks]) == 1).all()
    assert [block.number for block in blocks] == list(range(len(blocks)))
    assert all(block.shape == np.zeros(shape)[block.part].shape for block in blocks)
    corners = [(block.rows.start, block.columns.start) for block in blocks]
    assert corners == sorted(corners)
    assert len({block.columns.start for block in blocks}) == grid.width


@pytest.mark.parametrize("prompts", [1, 5])
def test_blocks_take_no_more_than_the_memory_given_and_begin_where_tiles_do(prompts):
    limit = 200 * 210 * bytes_per_pixel(prompts)
    grid = Grid.plan((1000, 900), prompts, 96, limit)
    assert grid.side == 192
    assert all(np.prod(block.shape) * bytes_per_pixel(prompts) <= limit for block in grid.blocks)
    assert len(Grid.plan((200, 210), prompts, 96, limit).blocks) == 1
    assert len(Grid.plan((200, 211), prompts, 96, limit).blocks) > 1


def test_more_prompts_make_smaller_blocks():
    sides = [Grid.plan((5000, 5000), prompts, 1, 1 << 24).side for prompts in (1, 4, 16)]
    assert sides == sorted(sides, reverse=True)
    assert len(set(sides)) == 3


def test_memory_too_small_for_a_tile_still_gives_blocks():
    grid = Grid.plan((300, 300), 3, 96, 1)
    assert grid.side == 96
    assert (covered(grid, [block.part for block in grid.blocks]) == 1).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("halo", [0, 5, 100, 1000])
def test_what_lies_around_a_block_ends_with_the_plane_and_knows_its_blocks(shape, halo):
    grid = Grid(shape, 96)
    for block in grid.blocks:
        rows, columns = grid.around(block, halo)
        for around, own, length in zip((rows, columns), block.part, shape, strict=True):
            assert (around.start, around.stop) == (max(0, own.start - halo), min(length, own.stop + halo))
        count = covered(grid, [under.part for under in grid.under((rows, columns))])
        assert (count[rows, columns] == 1).all()
        assert all(
            np.zeros(shape, bool)[under.part].size and covered(grid, [under.part])[rows, columns].any()
            for under in grid.under((rows, columns))
        )


@pytest.mark.parametrize("shape", [(383, 383), (300, 97), (128, 500)])
@pytest.mark.parametrize("scale", ["cell", "tissue"])
def test_a_block_is_shown_all_tiles_of_the_plane_that_show_its_pixels_and_no_other(predictor, shape, scale):
    config = predictor.model.config
    zoom = zoom_of(scale, config)
    whole = plan_view(shape, zoom, config)
    grid = Grid(shape, stride_of(config, [scale]))
    assert len(grid.blocks) > 1
    seen = set()
    for block in grid.blocks:
        view = tiles_of(block, shape, zoom, config)
        assert (view.zoom, view.overlap) == (whole.zoom, whole.overlap)
        assert max(map(len, view.batches)) <= max(map(len, whole.batches))
        assert set(view.tiles) == {tile for tile in whole.tiles if covered(grid, [tile.slices])[block.part].any()}
        seen |= set(view.tiles)
    assert seen == set(whole.tiles)


def test_blocks_begin_where_tiles_begin(predictor):
    config = predictor.model.config
    stride = stride_of(config, ["cell", "organ"])
    grid = Grid.plan((900, 900), 1, stride, (3 * stride) ** 2 * bytes_per_pixel(1))
    begins = {tile.top for tile in plan_view(grid.shape, config.cell_zoom, config).tiles}
    # The last tile is moved inside of the plane.
    assert {block.rows.start for block in grid.blocks[: -grid.width]} <= begins


def test_what_is_looked_for_on_the_whole_plane_at_once_needs_no_tiles(predictor):
    config = predictor.model.config
    grid = Grid((900, 900), 300)
    assert not tiles_of(grid.blocks[4], grid.shape, None, config).tiles
    assert stride_of(config, ["organ"]) == 1
