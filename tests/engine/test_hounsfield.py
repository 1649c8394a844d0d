"""Windows of computed tomography."""

import numpy as np
import pytest

from napari_biomedparse.engine.hounsfield import (
    CT_WINDOWS,
    advice,
    intensity_for,
    is_like_hounsfield,
    lowest,
    named_intensity,
    named_window,
    site_window,
)
from napari_biomedparse.engine.preprocess import ImageError, to_rgb


@pytest.mark.parametrize(
    ("text", "window"),
    [
        *CT_WINDOWS.items(),
        ("Abdomen", (-150, 250)),
        ("chest", (-1000, 1000)),
        ("-150,250", (-150, 250)),
        ("0.5, 7", (0.5, 7)),
    ],
)
def test_a_window_is_named_by_its_site_or_by_its_values(text, window):
    assert named_window(text) == named_intensity(text) == window


def test_no_name_is_no_window():
    assert named_intensity(None) == "auto"


@pytest.mark.parametrize("text", ["knee", "5", "1,2,3", "a,b"])
def test_what_is_no_window_is_refused_with_those_that_are(text):
    with pytest.raises(ImageError, match="is no window: give abdomen, lung"):
        named_window(text)


@pytest.mark.parametrize("text", ["-inf,inf", "0,inf", "nan,4"])
def test_a_window_without_an_end_is_refused(text):
    with pytest.raises(ImageError, match="has no end; give two numbers"):
        named_window(text)
    low, high = map(float, text.split(","))
    with pytest.raises(ImageError, match="has no end; give two numbers"):
        to_rgb(np.zeros((4, 4)), (low, high))


@pytest.mark.parametrize("text", ["250,-150", "3,3"])
def test_an_empty_window_is_refused(text):
    with pytest.raises(ImageError, match="is empty; give the lower value first"):
        named_window(text)


@pytest.mark.parametrize(
    ("modality", "window"),
    [
        ("CT-Abdomen", (-150, 250)),
        ("CT-Chest", (-1000, 1000)),
        ("CT-Liver", (-25, 230)),
        ("CT", (-150, 250)),
        ("MRI-Abdomen", None),
        ("telepathy", None),
    ],
)
def test_a_ct_has_the_window_of_its_site(modality, window):
    assert site_window(modality) == window


def test_only_what_is_told_to_be_a_ct_and_is_below_zero_is_shown_in_its_window():
    units = np.array([[-1000, 0], [40, 900]], np.int16)
    assert intensity_for(units, "auto", "CT-Abdomen") == (-150, 250)
    assert intensity_for(units, "auto", None) == intensity_for(units, "auto", "MRI-Abdomen") == "auto"
    assert intensity_for(units, "percentile", "CT-Abdomen") == "percentile"
    assert intensity_for(units, (0, 80), "CT-Abdomen") == (0, 80)
    picture = to_rgb(units, (-150, 250))[..., 0]
    assert intensity_for(picture, "auto", "CT-Abdomen") == "auto"


def test_what_looks_like_a_ct_without_a_window_gets_advice():
    assert lowest(np.array([[-1024, 3]], np.int16)) == -1024
    assert lowest(np.array([[7, 3]], np.uint16)) == lowest(np.array([[7.5, 3]])) == 0
    assert "begin at -1024" in advice(-1024, "auto")
    assert "--window abdomen" in advice(-1024, "auto")
    assert advice(-1024, (-150, 250)) == advice(-20, "auto") == advice(0, "auto") == ""


def test_values_far_beyond_those_of_scans_are_none():
    assert is_like_hounsfield(-1024, 3071)
    assert is_like_hounsfield(-3024)
    assert not is_like_hounsfield(-1024, 30000)
    assert not is_like_hounsfield(-9000, 9000)
    assert not is_like_hounsfield(0, 255)
