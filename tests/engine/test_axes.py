"""What the axes of an array are, from labels, from lengths and from what the user says."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_biomedparse.engine.axes import Axes, AxesError, read_axes


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (("t", "c", "z", "y", "x"), "TCZYX"),
        (("Time", "Channel", "Depth", "Row", "Column"), "TCZYX"),
        (("frames", "wavelength", "slice", "height", "width"), "TCZYX"),
        (("frame", "ch", " sl ", "rows", "col"), "TCZYX"),
        (("plane", "T", "channels", "x", "y"), "ZTCXY"),
        (("z", "y", "x"), "ZYX"),
        (("x", "y"), "XY"),
    ],
)
def test_labels_are_read_whatever_the_lengths(labels, order):
    for length in (1, 3, 40):
        axes = read_axes([length] * len(labels), labels)
        assert axes == Axes(order)
        assert axes.certain


@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((64, 48), "YX"),
        ((3, 64, 48), "ZYX"),
        ((4, 64, 48), "ZYX"),
        ((5, 64, 48), "ZYX"),
        ((30, 64, 48), "ZYX"),
        ((2, 30, 64, 48), "CZYX"),
        ((30, 5, 64, 48), "ZCYX"),
        ((3, 5, 64, 48), "CZYX"),
        ((20, 30, 64, 48), "TZYX"),
        ((3, 3, 64, 48), "TZYX"),
        ((1, 30, 64, 48), "CZYX"),
        ((1, 3, 64, 48), "TZYX"),
        ((10, 2, 30, 64, 48), "TCZYX"),
        ((10, 30, 2, 64, 48), "TZCYX"),
        ((10, 5, 3, 64, 48), "TZCYX"),
        ((10, 20, 30, 64, 48), "TCZYX"),
        ((1, 3, 1, 64, 48), "TCZYX"),
        ((1, 1, 30, 64, 48), "TCZYX"),
        ((10, 20, 1, 64, 48), "TZCYX"),
    ],
)
@pytest.mark.parametrize("label", [None, "", "-{}", "axis -{}", "axis {}", "dim_{}"])
def test_without_labels_lengths_tell(shape, order, label):
    labels = () if label is None else [label.format(n) for n in range(len(shape))]
    axes = read_axes(shape, labels)
    assert axes.order == order
    assert axes.certain == (len(shape) == 2)


@pytest.mark.parametrize(
    ("shape", "labels", "order", "certain"),
    [
        ((3, 30, 64, 48), ("t", "", "", ""), "TZYX", False),
        ((30, 3, 64, 48), ("t", "", "", ""), "TCYX", False),
        ((3, 30, 64, 48), ("z", "", "", ""), "ZTYX", False),
        ((3, 64, 48), ("", "y", "x"), "ZYX", False),
        ((3, 64, 48), ("z", "", ""), "ZYX", True),
        ((3, 64, 48), ("", "", "c"), "YXC", True),
        ((10, 2, 30, 64, 48), ("t", "", "z", "", ""), "TCZYX", True),
        ((2, 30, 10, 64, 48), ("", "", "t", "", ""), "CZTYX", False),
        ((20, 30, 10, 64, 48), ("", "", "z", "", ""), "TCZYX", False),
        ((64, 48, 30), ("", "x", ""), "ZXY", False),
    ],
)
def test_labels_come_first_and_lengths_complete_them(shape, labels, order, certain):
    axes = read_axes(shape, labels)
    assert (axes.order, axes.certain) == (order, certain)


@given(st.lists(st.integers(1, 60), min_size=2, max_size=5), st.data())
def test_every_array_of_two_to_five_axes_is_read_and_labels_are_never_overruled(shape, data):
    letters = data.draw(st.permutations("TCZYX"))[: len(shape)]
    missing = [letter for letter in "YX" if letter not in letters]
    shown = data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
    labels = [letter if keep else "" for letter, keep in zip(letters, shown, strict=True)]
    if labels.count("") < len(missing) or len(set(labels) & set("TCZ")) > len(shape) - 2:
        with pytest.raises(AxesError):
            read_axes(shape, labels)
        return
    axes = read_axes(shape, labels)
    assert len(axes.order) == len(shape)
    for letter, label in zip(axes.order, labels, strict=True):
        assert label in ("", letter)


def test_a_letter_is_found_at_its_axis():
    axes = Axes("TCYX")
    assert [axes.place(letter) for letter in "TCZYX"] == [0, 1, None, 2, 3]


def test_the_reason_says_what_was_read_and_what_was_guessed():
    assert "given" in Axes("ZYX").reason
    assert "labels" in read_axes((9, 64, 48), "zyx").reason
    assert "rows and columns" in read_axes((64, 48)).reason
    guessed = read_axes((30, 3, 64, 48)).reason
    assert "Z (depth) and C (channels) were guessed" in guessed
    assert "30 × 3 × 64 × 48" in guessed
    mixed = read_axes((30, 3, 64, 48), ("t", "", "", "")).reason
    assert "T" in mixed
    assert "C (channels) was guessed" in mixed


def test_axes_compare_by_what_they_are():
    assert Axes("ZYX") == read_axes((9, 64, 48), "zyx")
    assert Axes("ZYX") != read_axes((9, 64, 48))


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ("", "need"),
        ("TZ", "no Y"),
        ("ZY", "no X"),
        ("ZZYX", "Z occurs twice"),
        ("QYX", "no axis 'Q'"),
        ("zyx", "letters T, C, Z, Y and X"),
        ("YXS", "no axis 'S'"),
    ],
)
def test_wrong_orders_are_refused(order, sentence):
    with pytest.raises(AxesError, match=sentence):
        Axes(order)


def test_every_order_with_rows_and_columns_is_taken():
    for count in range(2, 6):
        for letters in permutations("TCZYX", count):
            if {"Y", "X"} <= {*letters}:
                assert Axes("".join(letters)).certain


@pytest.mark.parametrize(
    ("shape", "labels", "sentence"),
    [
        ((64,), (), "at least two axes"),
        ((), (), "at least two axes"),
        ((2, 2, 2, 2, 64, 48), (), "6 axes"),
        ((9, 64, 48), ("z", "y"), "2 labels for 3 axes"),
        ((9, 9, 64, 48), ("z", "depth", "y", "x"), "z and depth all mean depth"),
        ((64, 48), ("z", "t"), "no axis for columns"),
        ((9, 64, 48), ("z", "t", ""), "no axis for rows"),
    ],
)
def test_what_cannot_be_told_is_refused(shape, labels, sentence):
    with pytest.raises(AxesError, match=sentence):
        read_axes(shape, labels)
