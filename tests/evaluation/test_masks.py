"""Figures of a mask beside the truth, against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_biomedparse.evaluation.overlap import box_iou, dice, iou
from napari_biomedparse.evaluation.surface import assd

masks = arrays(np.bool_, st.just((9, 7)))


def rectangle(rows, columns, shape=(12, 12)):
    mask = np.zeros(shape, bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


EMPTY = np.zeros((12, 12), bool)
# 4 x 4 and the same moved by two columns: 8 shared, 24 together.
ONE, MOVED = rectangle((2, 6), (2, 6)), rectangle((2, 6), (4, 8))


def test_overlap_by_hand():
    assert dice(ONE, MOVED) == 0.5
    assert iou(ONE, MOVED) == box_iou(ONE, MOVED) == pytest.approx(1 / 3)
    assert dice(EMPTY, ONE) == iou(EMPTY, ONE) == box_iou(EMPTY, ONE) == 0
    assert dice(EMPTY, EMPTY) == iou(EMPTY, EMPTY) == box_iou(EMPTY, EMPTY) == 1


def test_a_box_goes_round_all_parts_of_a_mask():
    corners = rectangle((0, 1), (0, 1)) | rectangle((9, 10), (9, 10))
    assert box_iou(corners, rectangle((0, 10), (0, 10))) == 1
    assert box_iou(corners, rectangle((0, 5), (0, 10))) == 0.5
    assert box_iou(rectangle((0, 2), (0, 2)), rectangle((5, 7), (0, 2))) == 0


@given(masks, masks)
def test_overlap_is_symmetric_and_bounded(a, b):
    for measure in (dice, iou, box_iou):
        assert 0 <= measure(a, b) == measure(b, a) <= 1
        assert measure(a, a) == 1
    assert dice(a, b) == pytest.approx(2 * iou(a, b) / (1 + iou(a, b)))


def test_surface_distance_by_hand():
    # Two single pixels, and two vertical lines, three apart.
    assert assd(rectangle((3, 4), (3, 4)), rectangle((3, 4), (6, 7))) == 3
    assert assd(rectangle((0, 12), (3, 4)), rectangle((0, 12), (6, 7))) == 3
    # A pixel against a line of five through it: 0 one way; 2, 1, 0, 1, 2 the other; over six outline pixels.
    assert assd(rectangle((5, 6), (5, 6)), rectangle((5, 6), (3, 8))) == 1
    # The inside is no outline: a ring is as good as its disc but for its inner edge.
    full, ring = rectangle((2, 7), (2, 7)), rectangle((2, 7), (2, 7)) & ~rectangle((3, 6), (3, 6))
    assert assd(ring, full) == 0
    assert assd(EMPTY, ONE) is assd(ONE, EMPTY) is None
    assert assd(EMPTY, EMPTY) == 0


@given(masks, masks)
def test_surface_distance_is_symmetric_and_moves_along(a, b):
    distance = assd(a, b)
    assert distance == assd(b, a)
    assert assd(a, a) == 0
    if distance is not None:
        wide = [np.pad(mask, 3) for mask in (a, b)]
        assert assd(*wide) == pytest.approx(distance)


def test_a_surface_at_the_edge_of_the_image_counts():
    at_edge, inside = np.ones((4, 4), bool), rectangle((1, 3), (1, 3), (4, 4))
    # From the 12 outer pixels: 8 at distance 1, the 4 corners at sqrt(2); from the 4 inner ones 1 each.
    assert assd(at_edge, inside) == pytest.approx((8 + 4 * 2**0.5 + 4) / 16)
