"""Separate objects matched by overlap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_biomedparse.evaluation.instances import THRESHOLDS, add_counts, count_objects

labels = arrays(np.int32, st.just((6, 8)), elements=st.integers(0, 4))


def strip(*numbers):
    return np.array([numbers])


def test_counts_by_hand():
    # First object found whole, second with 6 of 9 pixels (IoU 2/3), third missed, a fourth where nothing is.
    truth = strip(*[1] * 4, *[7] * 9, *[3] * 3, *[0] * 4)
    found = strip(*[5] * 4, *[2] * 6, *[0] * 6, *[9] * 4)
    counts = count_objects(found, truth)
    assert (counts.truth, counts.found) == (3, 3)
    assert dict(zip(THRESHOLDS, counts.matched, strict=True)) == {t: 2 if t <= 0.65 else 1 for t in THRESHOLDS}
    assert counts.ap_50 == 2 / 4
    assert counts.ap_mean == pytest.approx((4 * 2 / 4 + 6 * 1 / 5) / 10)
    assert counts.f1_50 == 4 / 6


def test_an_object_is_matched_once_and_at_just_the_threshold():
    # Both halves overlap the truth by exactly one half: one pair, not two.
    halves = count_objects(strip(1, 1, 2, 2), strip(1, 1, 1, 1))
    assert (halves.truth, halves.found, halves.matched[0], halves.matched[1]) == (1, 2, 1, 0)
    # Two nuclei found as one are one half of each.
    assert count_objects(strip(1, 1, 1, 1), strip(1, 1, 2, 2)).matched[0] == 1
    # At 0.6 and 0.7 too, which have no exact float.
    assert count_objects(strip(*[1] * 6, *[0] * 4), strip(*[1] * 10)).matched[:4] == (1, 1, 1, 0)
    assert count_objects(strip(*[1] * 7, *[0] * 3), strip(*[1] * 10)).matched[4:6] == (1, 0)


def test_no_objects():
    nothing, one = strip(0, 0), strip(0, 3)
    assert count_objects(nothing, nothing).f1_50 == count_objects(nothing, nothing).ap_mean == 1
    assert count_objects(one, nothing).f1_50 == count_objects(nothing, one).ap_50 == 0


def test_counts_of_several_images_are_added():
    one, two = count_objects(strip(1, 0, 2), strip(1, 0, 0)), count_objects(strip(0, 0), strip(1, 2))
    both = add_counts([one, two])
    assert (both.truth, both.found, both.matched) == (3, 2, (1,) * 10)
    assert both.f1_50 == 2 / 5
    assert add_counts([]).f1_50 == 1


@given(labels, labels)
def test_counts_are_symmetric_bounded_and_fall_with_the_threshold(one, two):
    there, back = count_objects(one, two), count_objects(two, one)
    assert there.matched == back.matched
    assert sorted(there.matched, reverse=True) == list(there.matched)
    assert there.matched[0] <= min(there.truth, there.found)
    assert count_objects(one, one).ap_mean == 1
    renamed = np.where(one > 0, 50 - 3 * one, 0)
    assert count_objects(renamed, two) == there
