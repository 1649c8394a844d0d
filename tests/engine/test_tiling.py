"""Tiles cover the plane, overlap, and blend without seams."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_biomedparse.engine.tiling import Blend, Mosaic, nearest_first, plan_tiles


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(2, 80), st.data())
def test_tiles_cover_the_plane_inside_it_with_at_least_the_overlap(height, width, side, data):
    overlap = data.draw(st.integers(0, side - 1))
    tiles = plan_tiles((height, width), side, overlap)
    covered = np.zeros((height, width), int)
    for tile in tiles:
        assert 0 <= tile.top <= tile.top + tile.height <= height
        assert 0 <= tile.left <= tile.left + tile.width <= width
        assert (tile.height, tile.width) == (min(side, height), min(side, width))
        covered[tile.slices] += 1
    assert covered.min() >= 1
    rows = sorted({tile.top for tile in tiles})
    assert all(after - before <= side - overlap for before, after in pairwise(rows))
    assert len(set(tiles)) == len(tiles)


def test_an_overlap_as_wide_as_the_tile_is_refused():
    with pytest.raises(ValueError, match="overlap"):
        plan_tiles((10, 10), 5, 5)


def test_blending_equal_values_gives_them_back():
    tiles = plan_tiles((70, 90), 32, 8)
    blend = Blend(2, (70, 90), 8)
    for tile in tiles:
        blend.add(tile, np.full((2, tile.height, tile.width), 0.25, np.float32))
    np.testing.assert_allclose(blend.result(), 0.25, rtol=1e-5)


def test_blending_tiles_that_disagree_leaves_no_step():
    """Neighbouring tiles of 0 and 1 must turn into a ramp over the overlap, never a jump at a border."""
    overlap = 16
    tiles = plan_tiles((32, 112), 32, overlap)
    blend = Blend(1, (32, 112), overlap)
    for number, tile in enumerate(tiles):
        blend.add(tile, np.full((1, tile.height, tile.width), number % 2, np.float32))
    steps = np.abs(np.diff(blend.result()[0], axis=1))
    assert steps.max() < 2 / overlap
    assert blend.result().max() > 0.5


def test_a_mosaic_does_not_depend_on_the_order_of_its_tiles(rng):
    tiles = plan_tiles((90, 70), 32, 8)
    values = [rng.random((2, tile.height, tile.width), dtype=np.float32) for tile in tiles]
    expected = Blend(2, (90, 70), 8)
    for tile, part in zip(tiles, values, strict=True):
        expected.add(tile, part)
    for seed in range(5):
        mosaic = Mosaic(tiles, 2, (90, 70), 8)
        for place in np.random.default_rng(seed).permutation(len(tiles)):
            mosaic.add(tiles[place], values[place])
        assert (mosaic.result() == expected.result()).all(), "bit for bit"


def test_a_mosaic_shows_what_has_come_so_far():
    tiles = plan_tiles((64, 64), 32, 0)
    mosaic = Mosaic(tiles, 1, (64, 64), 0)
    mosaic.add(tiles[3], np.full((1, 32, 32), 0.7, np.float32))
    shown = mosaic.result()[0]
    np.testing.assert_allclose(shown[32:, 32:], 0.7)
    assert not shown[:32].any()
    assert not shown[:, :32].any()


def test_tiles_near_a_point_come_first():
    tiles = plan_tiles((96, 96), 32, 0)
    batches = [tuple(tiles[n : n + 2]) for n in range(0, len(tiles), 2)]
    order = nearest_first(batches, (90, 90))
    assert tiles[-1] in order[0]
    assert set(order) == set(batches)
