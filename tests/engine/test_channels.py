"""From grey channels to one picture in colour."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_biomedparse import ImageError
from napari_biomedparse.engine.channels import Channel, mix
from napari_biomedparse.engine.hounsfield import CT_WINDOWS
from napari_biomedparse.engine.preprocess import to_rgb

RED, GREEN, BLUE, MAGENTA = (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1)
FULL = (0, 255)


@given(arrays(np.uint16, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_one_white_channel_is_the_grey_picture(plane):
    assert (mix([plane], [Channel(0, None)]) == to_rgb(plane, "percentile")).all()


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
@pytest.mark.parametrize("window", [(10, 60), (0, 255), *CT_WINDOWS.values()])
def test_one_white_channel_keeps_to_its_window(dtype, window, rng):
    plane = rng.integers(0, 127, (33, 21)).astype(dtype)
    assert (mix([plane], [Channel(4, window)]) == to_rgb(plane, window)).all()


def test_primary_colours_do_not_touch_each_other(rng):
    planes = [rng.integers(0, 256, (7, 9), dtype=np.uint8) for _ in range(3)]
    mixed = mix(planes, [Channel(n, FULL, colour) for n, colour in enumerate((RED, GREEN, BLUE))])
    assert mixed.dtype == np.uint8
    assert (mixed == np.stack(planes, axis=-1)).all()


def test_colours_add_up_and_stop_at_255():
    plane = np.array([[0, 100, 200]], np.uint8)
    mixed = mix([plane, plane], [Channel(0, FULL, GREEN), Channel(1, FULL, (0.5, 1, 0))])
    assert mixed[0].tolist() == [[0, 0, 0], [50, 200, 0], [100, 255, 0]]


def test_gamma_below_one_brightens_and_leaves_the_ends():
    plane = np.array([[0, 64, 255]], np.uint8)
    expected = round(255 * (64 / 255) ** 0.5)
    assert mix([plane], [Channel(0, FULL, gamma=0.5)])[0, :, 0].tolist() == [0, expected, 255]
    assert mix([plane], [Channel(0, FULL, gamma=2)])[0, 1, 0] < 64


def test_it_looks_as_napari_shows_it(rng):
    """napari adds the colours of layers with additive blending up; its colormaps are straight lines from black."""
    from napari.utils.colormaps import ensure_colormap

    planes = [rng.integers(0, 4000, (16, 16), dtype=np.uint16) for _ in range(3)]
    windows, gammas, names = [(100, 3000), (0, 4000), (500, 900)], [1.0, 0.7, 1.5], ["magenta", "green", "cyan"]
    shown = np.zeros((16, 16, 3))
    channels = []
    for n, (plane, window, gamma, name) in enumerate(zip(planes, windows, gammas, names, strict=True)):
        colormap = ensure_colormap(name)
        grey = np.clip((plane - float(window[0])) / (window[1] - window[0]), 0, 1) ** gamma
        shown += colormap.map(grey.ravel())[:, :3].reshape(16, 16, 3)
        channels.append(Channel(n, window, tuple(map(float, colormap.colors[-1][:3])), gamma))
    difference = mix(planes, channels) - np.minimum(shown, 1) * 255
    # Each channel has 256 levels, which a gamma below 1 spreads at the dark end.
    assert np.abs(difference).max() <= 6


def test_the_order_of_channels_does_not_matter(rng):
    planes = [rng.random((8, 8), np.float32) for _ in range(3)]
    channels = [Channel(n, None, colour) for n, colour in enumerate((MAGENTA, GREEN, (0.3, 0.3, 0.9)))]
    assert (mix(planes, channels) == mix(planes[::-1], channels[::-1])).all()


GREY = np.ones((4, 5), np.uint8)


@pytest.mark.parametrize(
    ("planes", "channels", "sentence"),
    [
        ([], [], "No channel is chosen"),
        ([GREY], [], "No channel is chosen"),
        ([GREY], [Channel(0, None), Channel(1, None)], "one plane for each"),
        ([GREY, GREY.T], [Channel(0, None), Channel(1, None)], r"\(4, 5\) and \(5, 4\)"),
        ([np.ones((4, 5, 3), np.uint8)], [Channel(0, None)], "must be grey"),
        ([GREY], [Channel(0, (5, 5))], "window 5 to 5 is empty"),
        ([GREY], [Channel(0, (9, 5))], "window 9 to 5 is empty"),
        ([GREY > 0], [Channel(0, None)], "boolean"),
        ([np.full((4, 5), np.nan)], [Channel(0, FULL)], "NaN"),
        ([GREY[:0]], [Channel(0, None)], "no pixels"),
    ],
)
def test_what_cannot_be_mixed_is_refused(planes, channels, sentence):
    with pytest.raises(ImageError, match=sentence):
        mix(planes, channels)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"index": -1}, "no channel -1"),
        ({"colour": (1, 2, 0)}, "from 0 to 1"),
        ({"colour": (1, 0)}, "from 0 to 1"),
        ({"gamma": 0}, "above 0"),
        ({"gamma": float("nan")}, "above 0"),
    ],
)
def test_channels_that_cannot_be_shown_are_refused(arguments, sentence):
    with pytest.raises(ImageError, match=sentence):
        Channel(**{"index": 0, "window": None} | arguments)
