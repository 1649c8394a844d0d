"""Boxes around masks and around each of their objects."""

import numpy as np
import pytest
from skimage.draw import disk
from skimage.measure import regionprops

from napari_biomedparse import Box, ObjectMask
from napari_biomedparse.engine.boxes import box_objects


@pytest.fixture
def discs():
    """Two discs that touch, of different probability, and one below and left of them."""
    probability = np.full((100, 120), 0.1, np.float32)
    probability[disk((30, 40), 15)] = 0.7
    probability[disk((30, 65), 15)] = 0.9
    probability[disk((75, 20), 10)] = 0.8
    return ObjectMask("nuclei", probability)


def test_one_box_goes_round_the_whole_mask(discs):
    (box,) = discs.boxes()
    assert isinstance(box, Box)
    assert box[:4] == (16, 11, 85, 80)
    inside = discs.mask()
    assert inside[box.top : box.bottom, box.left : box.right].sum() == inside.sum()
    assert box.score == pytest.approx(discs.probability[inside].mean(), abs=1e-6)
    assert isinstance(box.score, float)


def test_touching_objects_have_boxes_of_their_own_from_top_to_bottom(discs):
    first, second, third = discs.boxes(instances=True)
    assert (first.top, first.left) == (16, 26)
    assert second.top == 16
    assert 48 < second.left < 56
    assert second.right == 80
    assert third[:4] == (66, 11, 85, 30)
    assert first.score == pytest.approx(0.7, abs=0.02)
    assert second.score == pytest.approx(0.9, abs=0.02)
    assert third.score == pytest.approx(0.8, abs=1e-6)


def test_boxes_follow_the_threshold(discs):
    assert [box.left for box in discs.boxes(0.85)] == [51]
    assert len(discs.boxes(0.75, instances=True)) == 2
    assert discs.boxes(0.95) == []
    assert discs.boxes(0.95, instances=True) == []
    with pytest.raises(ValueError, match="between 0 and 1"):
        discs.boxes(2, instances=True)


def test_a_hole_does_not_count_for_the_score():
    probability = np.zeros((40, 40), np.float32)
    probability[disk((20, 20), 12)] = 0.9
    probability[18:22, 18:22] = 0
    (box,) = ObjectMask("nuclei", probability).boxes(instances=True)
    assert box.score == pytest.approx(0.9)


def test_what_has_no_pixel_above_the_threshold_has_no_box():
    objects = np.zeros((9, 9), np.int32)
    objects[1:3, 1:3], objects[5:8, 5:8] = 1, 3
    inside = np.zeros((9, 9), bool)
    inside[6, 6] = True
    assert box_objects(objects, inside, np.full((9, 9), 0.5, np.float32)) == [Box(5, 5, 8, 8, 0.5)]


def test_a_box_in_other_layouts():
    box = Box(2, 3, 5, 9, 0.5)
    assert box.xywh == [3, 2, 6, 3]
    # The outside of the pixels, whose centres are at whole numbers.
    assert box.corners.tolist() == [[1.5, 2.5], [1.5, 8.5], [4.5, 8.5], [4.5, 2.5]]


def test_boxes_of_real_nuclei_meet_the_annotation(predictor, fluorescence):
    pixels, _, truth = fluorescence
    (mask,) = predictor.segment(pixels, ["nuclei"])
    boxes = mask.boxes(instances=True)
    assert boxes == sorted(boxes, key=lambda box: (box.top, box.left))
    regions = regionprops(truth)
    found = sum(any(overlap(region.bbox, box) > 0.5 for box in boxes) for region in regions)
    assert found >= 0.8 * len(regions)


def overlap(a, b):
    """Intersection over union of two rectangles."""
    height = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    width = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(side[2] - side[0]) * (side[3] - side[1]) for side in (a, b)]
    return height * width / (sum(areas) - height * width)
