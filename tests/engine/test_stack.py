"""Images of any dimension, read plane by plane."""

import dask.array as da
import numpy as np
import pytest

from napari_biomedparse import ImageError
from napari_biomedparse.engine.axes import AxesError
from napari_biomedparse.engine.channels import Channel
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.engine.stack import Stack, choose_level


def counted(shape, chunks, dtype=np.uint8):
    """A lazy array, and the chunks of it that were computed."""
    read = []

    def block(block_info=None):
        read.append(tuple(block_info[None]["chunk-location"]))
        return np.full(block_info[None]["chunk-shape"], 7, dtype)

    meta = np.zeros((0,) * len(shape), dtype)
    return da.map_blocks(block, chunks=da.core.normalize_chunks(chunks, shape), dtype=dtype, meta=meta), read


def test_planes_are_read_one_at_a_time_and_in_part():
    lazy, read = counted((3, 4, 60, 80), (1, 1, 30, 40))
    stack = Stack((lazy,), Selection("TZYX", at={"T": 1}, region=(0, 40, 20, 80)))
    assert stack.places() == [(1, 0), (1, 1), (1, 2), (1, 3)]
    assert not read
    assert stack.read((1, 2)).shape == (20, 40)
    assert set(read) == {(1, 2, 0, 1)}


def test_any_order_of_axes_and_any_plane(rng):
    data = rng.integers(0, 255, (20, 5, 30, 2), dtype=np.uint8)
    stack = Stack((data,), Selection("YZXT", at={"Z": None, "T": 1}))
    assert stack.places() == [(n, 1) for n in range(5)]
    assert (stack.read((3, 1)) == data[:, 3, :, 1]).all()
    side = Stack((data,), Selection("YZXT", rows="X", columns="Z", at={"Y": 4, "T": 0}))
    assert (side.read((4, 0)) == data[4, :, :, 0].T).all()
    labels = side.blank(np.uint16)
    side.write(labels, (4, 0), np.arange(150).reshape(30, 5))
    assert (np.arange(150).reshape(30, 5) == labels[4, :, :, 0].T).all()
    assert labels.sum() == np.arange(150).sum()


def test_channels_are_chosen_mixed_and_share_their_labels(rng):
    data = rng.integers(0, 255, (2, 3, 20, 30), dtype=np.uint8)
    one = Stack((data,), Selection("TCYX", at={"T": 0}, channels=(Channel(2, None),)))
    assert (one.read((0,)) == data[0, 2]).all()
    mixed = Stack(
        (data,), Selection("TCYX", channels=(Channel(0, (0, 255), (1, 0, 0)), Channel(1, (0, 255), (0, 1, 0))))
    )
    picture = mixed.read((1,))
    assert (picture[..., 0] == data[1, 0]).all()
    assert (picture[..., 1] == data[1, 1]).all()
    assert not picture[..., 2].any()
    labels = mixed.blank(np.uint16)
    mixed.write(labels, (1,), np.ones((20, 30), np.uint16))
    assert labels.shape == data.shape
    assert (labels[1] == 1).all()
    assert not labels[0].any()
    labels[0, 2, 5, 6] = 9
    assert labels[0, 0, 5, 6] == 9


def test_colours_and_levels(rng):
    fine = rng.integers(0, 255, (3, 40, 60, 3), dtype=np.uint8)
    stack = Stack((fine, fine[:, ::2, ::2]), Selection("ZYX", rgb=True, at={"Z": 2}, level=1))
    assert stack.shape == (3, 20, 30)
    assert (stack.read((2,)) == fine[2, ::2, ::2]).all()


def test_outlines_say_where_labels_may_lie():
    outline = ((5.0, 5.0), (5.0, 25.0), (15.0, 25.0), (15.0, 5.0))
    selection = Selection("YX", region=(4, 4, 17, 27), outlines=(outline,))
    inside = selection.inside((40, 50))
    assert inside.shape == (13, 23)
    assert inside[3:10, 3:20].all()
    assert not inside[0].any()
    assert Selection("YX").inside((40, 50)) is None


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Selection("ZYQ"), "Q"),
        (lambda: Selection("ZYX", rows="T"), "A plane needs two of the image's axes"),
        (lambda: Selection("CYX", rows="C"), "Channels are no direction"),
        (lambda: Selection("ZYX", at={"T": 3}), "no position along T"),
        (lambda: Stack((np.zeros((4, 5)),), Selection("ZYX")), "does not fit the axes ZYX"),
        (lambda: Stack((np.zeros((4, 5)),), Selection("YX", rgb=True)), "YX and colours"),
        (lambda: Stack((np.zeros((4, 0)),), Selection("YX")), "no pixels"),
        (lambda: Stack((np.zeros((4, 5)),), Selection("YX", level=2)), "no level 2"),
        (lambda: Stack((np.zeros((2, 4, 5)),), Selection("CYX", channels=(Channel(5, None),))), "no channel 5"),
        (lambda: Stack((np.zeros((3, 4, 5)),), Selection("ZYX", at={"Z": 3})).places(), "no Z = 3: the image has 3"),
        (lambda: Stack((np.zeros((4, 5)),), Selection("YX", region=(9, 0, 12, 3))).read(()), "outside of the image"),
        (lambda: Stack((np.zeros((4, 5), bool),), Selection("YX"), "mask").read(()), "mask: The image is boolean"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(make, sentence):
    with pytest.raises((ImageError, AxesError), match=sentence):
        make()


def test_the_level_that_suits_what_is_looked_for():
    shapes = [(8192, 6144), (4096, 3072), (2048, 1536), (1024, 768), (512, 384), (256, 192)]
    assert choose_level(shapes, ["organ"], 512) == 4
    assert choose_level(shapes, ["organ", "cell"], 512) == 0, "cells need the pixels"
    assert choose_level(shapes, ["cell"], 512, pixel=0.125) == 2
    assert choose_level(shapes, ["cell"], 512, pixel=0.5) == 0
    assert choose_level(shapes, ["cell"], 512, pixel=3.0) == 0
    assert choose_level([(100, 90)], ["organ"], 512) == 0
