"""What is known of a plane that was read a few rows at a time, and pictures of its parts."""

import numpy as np
import pytest

from napari_biomedparse import ImageError
from napari_biomedparse.engine import survey as module
from napari_biomedparse.engine.channels import Channel
from napari_biomedparse.engine.preprocess import to_rgb
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.engine.stack import Stack
from napari_biomedparse.engine.survey import survey

SHAPE = (150, 120)
KINDS = {
    "uint8": lambda values: values * 255,
    "uint16": lambda values: values * 60000,
    "int16": lambda values: values * 3000 - 1000,
    "int32": lambda values: values * 1e6,
    "float32": lambda values: values * 7 - 2,
}


@pytest.fixture(autouse=True)
def few_rows(monkeypatch):
    """Planes are read 16 rows at a time."""
    monkeypatch.setattr(module, "STRIP", SHAPE[1] * 16)


@pytest.fixture
def values(rng):
    """Skewed values in 0-1, with zeros."""
    values = rng.random(SHAPE) ** 4
    values[40:60] = 0
    return values


def parts_of(shape):
    return [
        (slice(top, min(top + 64, shape[0])), slice(left, min(left + 50, shape[1])))
        for top in range(0, shape[0], 64)
        for left in range(0, shape[1], 50)
    ]


def assert_like_the_whole(stack, expected):
    """Parts put together, and the overview, are the picture of the whole plane."""
    found = survey(stack, ())
    together = np.zeros_like(expected)
    for part in parts_of(expected.shape):
        together[part] = found.picture(stack, (), part)
    assert (together == expected).all()
    assert (found.picture(stack, ()) == expected).all()
    assert found.overview.dtype == np.uint8
    assert (found.overview == expected).all()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_grey_planes_look_as_they_do_undivided(values, kind):
    image = KINDS[kind](values).astype(kind)
    expected = to_rgb(image)
    assert len(np.unique(expected)) > 100
    assert_like_the_whole(Stack((image,), Selection("YX")), expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda rgb: (rgb * 255).astype(np.uint8),
        lambda rgb: (rgb * 60000).astype(np.uint16),
        lambda rgb: rgb.astype(np.float32),
        lambda rgb: (rgb * 5).astype(np.float32),
        lambda rgb: (rgb * 3000 - 1000).astype(np.int16),
    ],
)
@pytest.mark.parametrize("samples", [3, 4])
def test_colours_look_as_they_do_undivided(rng, make, samples):
    image = make(rng.random((*SHAPE, samples)))
    assert_like_the_whole(Stack((image,), Selection("YX", rgb=True)), to_rgb(image))


def test_the_first_of_several_channels_is_seen(values):
    image = np.stack([values, 1 - values]).astype(np.float32)
    assert_like_the_whole(Stack((image,), Selection("CYX")), to_rgb(image[0]))


@pytest.mark.parametrize("window", [None, (100.0, 9000.0)])
def test_mixed_channels_look_as_they_do_undivided(values, window):
    image = (np.stack([values, values[::-1]]) * 20000).astype(np.uint16)
    channels = (Channel(1, window, (1, 0, 0.5)), Channel(0, None, (0, 1, 0), 0.7))
    stack = Stack((image,), Selection("CYX", channels=channels))
    found = assert_like_the_whole(stack, to_rgb(stack.read(())))
    assert window in (None, found.windows[0])


@pytest.mark.parametrize("value", [0, 9, -1000])
@pytest.mark.parametrize("kind", ["int16", "float32"])
def test_planes_of_one_value_are_looked_at(value, kind):
    image = np.full(SHAPE, value, kind)
    assert_like_the_whole(Stack((image,), Selection("YX")), to_rgb(image))


def test_only_the_selected_part_counts(values):
    image = np.zeros((300, 300), np.float32)
    image[50:200, 100:220] = values
    image[250:, 250:] = 1e6
    stack = Stack((image,), Selection("YX", region=(50, 100, 200, 220)))
    assert_like_the_whole(stack, to_rgb(values.astype(np.float32)))


def test_the_overview_of_a_large_plane_is_reduced(monkeypatch):
    monkeypatch.setattr(module, "OVERVIEW", 40)
    image = np.zeros(SHAPE, np.uint16)
    image[:75] = 1000
    image[:, 100:] = 2000
    found = survey(Stack((image,), Selection("YX")), ())
    # 150 rows to 40 at most: four by four pixels become one.
    assert found.overview.shape == (38, 30, 3)
    expected = to_rgb(image)[2::4, 2::4]
    assert np.abs(found.overview[:18].astype(int) - expected[:18]).max() <= 1
    assert (found.picture(Stack((image,), Selection("YX")), ()) == to_rgb(image)).all()


def test_pixels_that_are_none_are_refused():
    image = np.ones(SHAPE, np.float32)
    image[149, 3] = np.nan
    with pytest.raises(ImageError, match="NaN"):
        survey(Stack((image,), Selection("YX"), "cells.tif"), ())
