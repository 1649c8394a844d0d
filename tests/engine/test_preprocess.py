"""From arrays of any real type to what the network sees."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import binary_dilation
from skimage.segmentation import find_boundaries

from napari_biomedparse import ImageError
from napari_biomedparse.engine.hounsfield import CT_WINDOWS
from napari_biomedparse.engine.preprocess import lay, to_rgb
from napari_biomedparse.engine.resample import unlay


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "i4", "i8", "u8", "f2", "f4", "f8"])
def test_grey_images_of_every_real_type_fill_the_range(dtype, rng):
    image = rng.integers(1, 100, (32, 40)).astype(dtype)
    rgb = to_rgb(image)
    assert rgb.shape == (32, 40, 3)
    assert rgb.dtype == np.uint8
    assert (rgb.min(), rgb.max()) == (0, 255)
    assert (rgb[..., 0] == rgb[..., 2]).all()


def test_percentiles_are_taken_from_values_above_zero():
    image = np.zeros((100, 100), np.uint16)
    image[:20] = np.linspace(1000, 2000, 2000).reshape(20, 100)
    low, high = np.percentile(image[image > 0].astype(float), [0.5, 99.5])
    expected = int((1500 - low) / (high - low) * 255)
    row, column = np.argwhere(np.abs(image.astype(int) - 1500) <= 1)[0]
    assert abs(int(to_rgb(image)[row, column, 0]) - expected) <= 1
    assert to_rgb(image)[50, 50, 0] == 0


def test_colour_in_eight_bits_is_taken_as_it_is_and_alpha_dropped(rng):
    image = rng.integers(0, 256, (8, 9, 4), dtype=np.uint8)
    assert (to_rgb(image) == image[..., :3]).all()


def test_colour_in_sixteen_bits_and_floats_keep_their_proportions():
    image = np.zeros((4, 4, 3))
    image[..., 0] = 0.5
    assert to_rgb(image)[0, 0].tolist() == [127, 0, 0]
    assert to_rgb((image * 65535).astype(np.uint16))[0, 0].tolist() == [127, 0, 0]


def test_ct_window():
    image = np.array([[-1000, -150], [50, 3000]], np.int16)
    assert to_rgb(image, CT_WINDOWS["abdomen"])[..., 0].tolist() == [[0, 0], [127, 255]]


@pytest.mark.parametrize("value", [0, 7, -3])
def test_constant_images_do_not_divide_by_zero(value):
    assert np.isfinite(to_rgb(np.full((5, 5), value, np.int32))).all()


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (np.zeros((0, 5)), "no pixels"),
        (np.zeros((5, 5), bool), "boolean"),
        (np.zeros((5, 5), complex), "real numbers"),
        (np.array([["a"]]), "real numbers"),
        (np.array([[1.0, np.nan]]), "NaN or infinite"),
        (np.array([[1.0, np.inf]]), "NaN or infinite"),
        (np.zeros((3, 5, 5)), "one plane at a time"),
        (np.zeros(5), "one plane at a time"),
    ],
)
def test_what_is_no_image_is_refused_with_a_sentence(image, sentence):
    with pytest.raises(ImageError, match=sentence):
        to_rgb(image)


def test_an_empty_window_is_refused():
    with pytest.raises(ImageError, match="window"):
        to_rgb(np.ones((3, 3)), (5.0, 5.0))


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 9))
def test_padding_is_that_of_the_published_readers(height, width, seed):
    """Zeros on both sides, half of the difference rounded down, then one resize to the square."""
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    rows, columns = ((max(height, width) - side) // 2 for side in (height, width))
    padded = np.pad(rgb, ((rows, rows), (columns, columns), (0, 0)))
    expected = np.asarray(Image.fromarray(padded).resize((64, 64), Image.Resampling.BICUBIC))
    square, frame = lay(rgb, 64, "pad")
    # PIL goes along one axis first, whichever is cheaper, and cuts off there what overshoots 0 and 255.
    apart = np.abs(square.transpose(1, 2, 0) - expected.astype(float))
    # The most of 2,500 such images of noise: 2 % and 0.35, where they are nearly of the square's size.
    assert (apart <= 1).mean() > 0.96
    assert apart.mean() < 0.5
    assert frame.top * 2 + frame.height == pytest.approx(64)
    assert frame.left * 2 + frame.width == pytest.approx(64)
    assert frame.height == pytest.approx(64 * height / (height + 2 * rows))


def test_a_mask_comes_back_to_the_pixels_it_was_found_in():
    """Also where the image's edges lie within a pixel of the network's input."""
    rgb = np.zeros((301, 500, 3), np.uint8)
    rgb[100:200, 120:380] = 255
    square, frame = lay(rgb, 256, "pad")
    back = unlay(torch.from_numpy(square[None, :1]) - 127.5, frame, 256)[0, 0].numpy()
    assert back.shape == (301, 500)
    inside = rgb[..., 0] > 0
    away = ~binary_dilation(find_boundaries(inside), iterations=2)
    assert ((back > 0) == inside)[away].all()
    centre = np.argwhere(back > 0).mean(axis=0)
    assert centre == pytest.approx([149.5, 249.5], abs=0.1)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_a_few_values_below_zero_change_nothing(dtype):
    image = np.zeros((200, 200), dtype)
    image[60:140, 60:140] = np.linspace(50, 800, 6400).reshape(80, 80)
    shown = to_rgb(image)
    image[:5] = -1
    assert (to_rgb(image) == shown).all()


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_values_below_zero_count_where_they_are_many_and_large(dtype):
    image = np.linspace(-1000, 1000, 10000).reshape(100, 100).astype(dtype)
    shown = to_rgb(image)[..., 0]
    assert shown[45, 0] > 100
    below = to_rgb(image - 2000)[..., 0]
    assert np.ptp(below) > 240


def test_a_piece_smaller_than_the_square_may_be_surrounded_by_its_mirror_images(rng):
    rgb = rng.integers(1, 255, (20, 12, 3)).astype(np.uint8)
    square, frame = lay(rgb, 64, "pad", zoom=1, mirror=True)
    alone, _ = lay(rgb, 64, "pad", zoom=1)
    inside = np.s_[:, frame.top : frame.top + 20, frame.left : frame.left + 12]
    assert (square[inside] == rgb.transpose(2, 0, 1)).all()
    assert (alone[inside] == square[inside]).all()
    assert (square[:, frame.top - 20 : frame.top, frame.left : frame.left + 12] == square[inside][:, ::-1]).all()
    assert square.min() > 0
    assert not np.delete(alone, range(frame.left, frame.left + 12), axis=2).any()


def test_stretching_fills_the_square():
    square, frame = lay(np.full((10, 30, 3), 200, np.uint8), 64, "stretch")
    assert (square == 200).all()
    assert (frame.height, frame.width) == (64, 64)
