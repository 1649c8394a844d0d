"""Measures of a mask's shape, against values worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import regionprops

from napari_biomedparse.engine.shape import eccentricity_of, shape_of, volume_solidity

masks = arrays(np.bool_, st.just((9, 7)))


def rectangle(rows, columns, shape=(12, 12)):
    mask = np.zeros(shape, bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


EMPTY = np.zeros((12, 12), bool)
ONE = rectangle((2, 6), (2, 6))


def test_shape_by_hand():
    square = shape_of(ONE)
    assert square == pytest.approx((1, 1, 3 / np.pi))
    # 10 x 1: second moment 10 * (100 + 1) / 12.
    assert shape_of(rectangle((0, 10), (0, 1))) == pytest.approx((1, 1, 100 / (2 * np.pi * 1010 / 12)))
    # An L of three pixels in a box of four; the hull of its pixels' corners has 3.5.
    corner = rectangle((0, 2), (0, 2)) & ~rectangle((0, 1), (1, 2))
    assert shape_of(corner).box_ratio == 0.75
    assert shape_of(EMPTY) is None


def test_a_disc_has_the_greatest_inertia_measure_and_scattered_parts_a_small_one():
    y, x = np.ogrid[-40:41, -40:41]
    disc = x**2 + y**2 < 38.5**2
    assert shape_of(disc).inverse_rotational_inertia == pytest.approx(1, abs=0.002)
    assert shape_of(disc).box_ratio == pytest.approx(np.pi / 4, abs=0.02)
    assert shape_of(disc).convex_ratio > 0.97
    parts = rectangle((0, 2), (0, 2)) | rectangle((10, 12), (10, 12))
    assert shape_of(parts).inverse_rotational_inertia < 0.1
    assert shape_of(parts).convex_ratio < 0.3


@given(masks.filter(np.any))
def test_shape_is_bounded_and_independent_of_place_and_mirroring(mask):
    shape = shape_of(mask)
    assert all(0 < value <= 1 for value in shape)
    assert shape_of(np.pad(mask, ((1, 4), (3, 0)))) == pytest.approx(shape)
    assert shape_of(mask[::-1]) == pytest.approx(shape)


def test_pixels_that_are_no_squares_are_measured_as_they_are_in_space():
    # 8 x 4 pixels of 1 x 2: a square.
    mask = rectangle((1, 9), (2, 6))
    assert shape_of(mask, (1, 2)).inverse_rotational_inertia == pytest.approx(3 / math.pi)
    assert shape_of(mask, (0.5, 1)) == pytest.approx(shape_of(mask, (1, 2)))
    assert shape_of(mask).inverse_rotational_inertia < 3 / math.pi - 0.1


def test_eccentricity_by_hand():
    assert eccentricity_of(ONE) == pytest.approx(0, abs=1e-6)
    # Along a side of n points the variance is (n ** 2 - 1) / 12.
    assert eccentricity_of(rectangle((0, 9), (0, 4))) == pytest.approx(math.sqrt(1 - 15 / 80))
    assert eccentricity_of(rectangle((0, 1), (0, 9))) == 1
    assert eccentricity_of(rectangle((3, 4), (3, 4))) == 0
    assert eccentricity_of(np.eye(9, dtype=bool)) == pytest.approx(1)


@given(masks.filter(np.any))
def test_eccentricity_is_that_of_scikit_image(mask):
    (region,) = regionprops(mask.astype(int))
    assert eccentricity_of(mask) == pytest.approx(region.eccentricity, abs=1e-6)
    (region,) = regionprops(mask.astype(int), spacing=(0.5, 2))
    assert eccentricity_of(mask, (0.5, 2)) == pytest.approx(region.eccentricity, abs=1e-6)


def test_solidity_of_volumes_by_hand():
    assert volume_solidity(np.ones((3, 4, 5), bool)) == pytest.approx(1)
    for degenerate in ((1, 1, 1), (1, 1, 6), (5, 1, 1), (1, 4, 6)):
        assert volume_solidity(np.ones(degenerate, bool)) == pytest.approx(1)
    # A cube without one of its eight voxels: the corner of the hull is cut off by a plane, 1/6 of a voxel.
    corner = np.ones((2, 2, 2), bool)
    corner[0, 0, 0] = False
    assert volume_solidity(corner) == pytest.approx(7 / (8 - 1 / 6))
    ball = (np.mgrid[-15:16, -15:16, -15:16] ** 2).sum(axis=0) <= 15**2
    large = (np.mgrid[-50:51, -50:51, -50:51] ** 2).sum(axis=0) <= 50**2
    assert 0.88 < volume_solidity(ball) < 0.95 < volume_solidity(large) < 1
