"""Objects keep their number from plane to plane."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment
from skimage.draw import disk

from napari_biomedparse.engine.link import Linker, Shared, adjoin, shared_pixels

SIZE = 80
NUCLEUS = "nucleus"


def discs(*places, radius=8):
    """A plane with a disc at each (row, column), numbered from 1 in this order; None leaves its number out."""
    plane = np.zeros((SIZE, SIZE), np.int32)
    for number, place in enumerate(places, start=1):
        if place is not None:
            plane[disk(place, radius, shape=plane.shape)] = number
    return plane


def follow(planes, linker=None, kinds=None):
    """The planes with linked numbers."""
    linker = linker or Linker()
    numbered = []
    for plane in planes:
        values, _ = linker.link(plane, kinds or dict.fromkeys(range(1, int(plane.max(initial=0)) + 1), NUCLEUS))
        assert values.dtype == np.int32
        assert values.shape == plane.shape
        numbered.append(values)
    return numbered


def test_drifting_discs_keep_their_numbers_whatever_each_plane_calls_them():
    paths = [((20, 20 + 4 * n), (60, 60 - 4 * n)) for n in range(8)]
    planes = [discs(*(path if n % 2 else path[::-1])) for n, path in enumerate(paths)]
    for (one, other), values in zip(paths, follow(planes), strict=True):
        assert (values[one], values[other]) == (2, 1)
        assert set(np.unique(values)) == {0, 1, 2}


def test_touching_objects_whose_values_are_swapped_keep_their_numbers():
    left = np.zeros((20, 20), np.int32)
    left[5:15, 2:10], left[5:15, 10:18] = 1, 2
    swapped = np.where(left > 0, 3 - left, 0)
    first, second = follow([left, swapped])
    assert (first == second).all()
    assert set(np.unique(first)) == {0, 1, 2}


def test_of_a_divided_object_the_greater_overlap_keeps_the_number():
    mother = np.zeros((30, 40), np.int32)
    mother[5:25, 4:36] = 1
    daughters = np.zeros_like(mother)
    daughters[5:25, 4:16], daughters[5:25, 17:36] = 1, 2
    _, after = follow([mother, daughters])
    assert (after[10, 10], after[10, 30]) == (2, 1)


def test_two_objects_that_merge_leave_the_greater_one_s_number():
    parts = np.zeros((30, 40), np.int32)
    parts[5:25, 4:16], parts[5:25, 17:36] = 1, 2
    _, merged, parted = follow([parts, (parts > 0).astype(np.int32), parts])
    assert set(np.unique(merged)) == {0, 2}
    assert (parted[10, 10], parted[10, 30]) == (3, 2)


def test_a_chain_of_objects_is_matched_as_a_whole():
    """Taking the best pair first would leave one of the two objects without its partner."""
    before, after = np.zeros((1, 40), np.int32), np.zeros((1, 40), np.int32)
    before[0, 0:10], before[0, 10:22] = 1, 2
    after[0, 5:18], after[0, 18:24] = 1, 2
    linked = follow([before, after], Linker(least_overlap=0.2))[1]
    assert (linked[0, 12], linked[0, 20]) == (1, 2)


def test_too_little_overlap_starts_a_new_object():
    first, second = discs((20, 20)), discs((20, 30))
    shared = np.logical_and(first, second).sum() / np.logical_or(first, second).sum()
    assert follow([first, second], Linker(least_overlap=shared - 0.01))[1].max() == 1
    assert follow([first, second], Linker(least_overlap=shared + 0.01))[1].max() == 2


def test_what_comes_back_is_new():
    there, gone = discs((20, 20), (60, 60)), discs(None, (60, 60))
    planes = [there, gone, there, gone, gone, there]
    assert [values[20, 20] for values in follow(planes)] == [1, 0, 3, 0, 0, 4]
    assert all(values[60, 60] == 2 for values in follow(planes))


def test_empty_planes_end_all_objects():
    empty, plane = discs(), discs((20, 20), (60, 60))
    linked = follow([empty, plane, empty, empty, plane])
    assert [values.max() for values in linked] == [0, 2, 0, 0, 4]
    assert (linked[4][20, 20], linked[4][60, 60]) == (3, 4)


def test_only_objects_of_one_class_are_linked():
    plane = discs((20, 20), (60, 60))
    linker = Linker()
    first, classes = linker.link(plane, {1: "nucleus", 2: "cell"})
    assert classes == {1: "nucleus", 2: "cell"}
    second, classes = linker.link(plane, {1: "cell", 2: "cell"})
    assert (second[20, 20], second[60, 60]) == (3, 2)
    assert classes == {3: "cell", 2: "cell"}
    assert (first[20, 20], first[60, 60]) == (1, 2)


def test_the_better_overlap_of_another_class_is_no_obstacle():
    before, after = np.zeros((10, 40), np.int32), np.zeros((10, 40), np.int32)
    before[:, 0:20], before[:, 20:30] = 1, 2
    after[:, 8:28] = 1
    linker = Linker(least_overlap=0.1)
    linker.link(before, {1: "cell", 2: "nucleus"})
    values, classes = linker.link(after, {1: "nucleus"})
    assert classes == {2: "nucleus"}
    assert values[0, 10] == 2


def test_numbers_start_where_they_are_told_to_and_go_on():
    linker = Linker(next_free=7)
    assert set(np.unique(linker.link(discs((20, 20), (60, 60)), {})[0])) == {0, 7, 8}
    assert linker.next_free == 9
    assert linker.link(discs((20, 60)), {})[0].max() == 9


def test_values_without_pixels_get_no_number():
    plane = discs(None, (20, 20), None, (60, 60))
    values, classes = Linker().link(plane, {1: "a", 2: "b", 3: "c", 4: "d", 5: "e"})
    assert classes == {1: "b", 2: "d"}
    assert (values[20, 20], values[60, 60]) == (1, 2)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", "i8"])
def test_planes_of_every_integer_type_are_taken(dtype):
    plane = discs((20, 20), (60, 60))
    assert (follow([plane.astype(dtype)] * 2)[1] == plane).all()


def test_two_thousand_objects_keep_their_numbers(rng):
    rows, columns = np.divmod(np.arange(2000), 50)
    plane = np.zeros((40 * 12, 50 * 12), np.int32)
    for number, (row, column) in enumerate(zip(rows, columns, strict=True), start=1):
        plane[row * 12 + 1 : row * 12 + 10, column * 12 + 1 : column * 12 + 10] = number
    shuffled = np.concatenate([[0], rng.permutation(2000) + 1]).astype(np.int32)
    first, second = follow([plane, np.roll(shuffled[plane], (2, 1), (0, 1))])
    assert first.max() == second.max() == 2000
    assert (second == np.roll(first, (2, 1), (0, 1))).all()


def test_two_thousand_touching_objects_that_all_hang_together_are_linked():
    stripes = np.repeat(np.arange(1, 2001, dtype=np.int32), 6)[None]
    first, second = follow([stripes, np.roll(stripes, 2)], Linker(least_overlap=0.1))
    assert (np.roll(first, 2) == second).all()


planes = arrays(np.int32, (6, 6), elements=st.integers(0, 5))


@settings(deadline=None)
@given(planes, planes, st.sampled_from([0.0, 0.1, 0.3, 0.6]))
def test_objects_stay_whole_and_the_overlap_of_partners_is_the_greatest_possible(before, after, least):
    linker = Linker(least_overlap=least)
    kinds = {1: "a", 2: "a", 3: "b", 4: "b", 5: "a"}
    one, classes_before = linker.link(before, kinds)
    two, classes_after = linker.link(after, kinds)
    for plane, values in ((before, one), (after, two)):
        pairs = set(zip(plane.ravel().tolist(), values.ravel().tolist(), strict=True))
        assert len(pairs) == len({value for value, _ in pairs}) == len({number for _, number in pairs})
        assert all((value == 0) == (number == 0) for value, number in pairs)

    def overlap(number, other):
        union = ((one == number) | (two == other)).sum()
        share = ((one == number) & (two == other)).sum() / union
        return share if share >= least and classes_before[number] == classes_after[other] else 0

    table = np.array([[overlap(number, other) for other in classes_after] for number in classes_before])
    kept = set(classes_before) & set(classes_after)
    assert all(overlap(number, number) > 0 for number in kept)
    best = table[linear_sum_assignment(table, maximize=True)].sum() if table.size else 0
    assert sum(overlap(number, number) for number in kept) == pytest.approx(best)


@settings(deadline=None)
@given(st.lists(planes, min_size=2, max_size=4), st.sampled_from([0.0, 0.3]))
def test_counts_of_pixels_link_as_planes_do(series, least):
    """Counted on the two halves of each plane, as one does where it is too large to be at hand."""
    kinds = {1: "a", 2: "a", 3: "b", 4: "b", 5: "a"}
    undivided, counted = Linker(least_overlap=least), Linker(least_overlap=least)
    before, shared = None, None
    for plane in series:
        present = np.unique(plane[plane > 0])
        compact = np.searchsorted(present, plane) + 1
        compact[plane == 0] = 0
        if before is not None:
            halves = [
                shared_pixels(one, other) for one, other in ((before[:3], compact[:3]), (before[3:], compact[3:]))
            ]
            pairs, where = np.unique(np.hstack([half[:2] for half in halves]), axis=1, return_inverse=True)
            pixels = np.bincount(where.ravel(), np.hstack([half.pixels for half in halves]), pairs.shape[1])
            shared = Shared(*pairs, pixels.astype(np.int64))
        areas = np.bincount(compact.ravel(), minlength=present.size + 1)
        numbers = counted.link_areas(areas, ["", *(kinds[value] for value in present)], shared)
        assert (numbers[compact] == undivided.link(plane, kinds)[0]).all()
        before = compact
    assert counted.next_free == undivided.next_free


def test_nothing_is_shared_with_background():
    before = np.array([[0, 1, 1, 2], [0, 0, 2, 2]])
    now = np.array([[3, 3, 0, 1], [0, 1, 1, 0]])
    shared = shared_pixels(before, now)
    counts = {(one, other): pixels for one, other, pixels in zip(*map(np.ndarray.tolist, shared), strict=True)}
    assert counts == {(1, 3): 1, (2, 1): 2}


def test_objects_of_which_nothing_is_counted_are_new():
    linker = Linker()
    areas = np.array([0, 10, 20])
    assert linker.link_areas(areas, ["", "a", "a"]).tolist() == [0, 1, 2]
    assert linker.link_areas(areas, ["", "a", "a"]).tolist() == [0, 3, 4]
    shared = Shared(np.array([1]), np.array([2]), np.array([10]))
    assert linker.link_areas(areas, ["", "a", "a"], shared).tolist() == [0, 5, 3]


def test_planes_that_were_given_out_stay_as_they_are(rng):
    linker = Linker()
    given_out = []
    for _ in range(6):
        values, _ = linker.link(rng.integers(0, 4, (9, 9)), {})
        given_out.append((values, values.copy()))
    assert all((values == copy).all() for values, copy in given_out)
    numbers = np.unique(np.concatenate([values.ravel() for values, _ in given_out]))
    assert numbers.max() == linker.next_free - 1


@pytest.mark.parametrize(
    ("plane", "sentence"),
    [
        (np.full((4, 4), -1, np.int32), "integers from 1"),
        (np.ones((4, 4), np.float32), "integers from 1"),
        (np.ones((4, 4), bool), "integers from 1"),
        (np.ones((4, 5), np.int32), "one shape"),
    ],
)
def test_planes_that_hold_no_objects_or_do_not_fit_are_refused(plane, sentence):
    linker = Linker()
    linker.link(np.ones((4, 4), np.int32), {})
    with pytest.raises(ValueError, match=sentence):
        linker.link(plane, {})
    assert linker.link(np.ones((4, 4), np.int32), {})[0].max() == 1


@pytest.mark.parametrize("setting", [{"next_free": 0}, {"least_overlap": 1.1}, {"least_overlap": -1}])
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ValueError, match=r"must be|start at"):
        Linker(**setting)


def test_neighbours_are_one_step_apart_along_one_axis():
    assert adjoin((0, 1), (0, 2))
    assert adjoin((1,), (0,))
    assert not adjoin((0, 5), (1, 0))
    assert not adjoin((0,), (2,))
