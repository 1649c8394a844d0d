"""Images of any dimension: which planes are parsed, what of them is read, where labels are written."""

from itertools import permutations

import dask.array as da
import numpy as np
import pytest
from skimage.draw import polygon2mask

from napari_biomedparse import ImageError
from napari_biomedparse.engine.axes import AxesError
from napari_biomedparse.engine.channels import Channel, mix
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.engine.stack import Stack, choose_level

SIDES = {"T": 2, "C": 3, "Z": 4, "Y": 6, "X": 7}


def image(axes, dtype=np.uint16):
    """An array in which each pixel has a value of its own, equal for the same place whatever the axes' order."""
    whole = np.arange(np.prod(list(SIDES.values())), dtype=dtype).reshape(list(SIDES.values()))
    kept = whole[tuple(slice(None) if letter in axes else 0 for letter in SIDES)]
    letters = [letter for letter in SIDES if letter in axes]
    return kept.transpose([letters.index(letter) for letter in axes])


@pytest.mark.parametrize("axes", ["".join(letters) for letters in permutations("ZCYX")])
def test_the_same_plane_is_read_whatever_the_order_of_the_axes(axes):
    expected = image("ZCYX")[2, 0]
    stack = Stack((image(axes),), Selection(axes))
    assert len(stack.places()) == SIDES["Z"]
    assert (stack.read((2,)) == expected).all()
    first = Stack((image(axes),), Selection(axes, channels=(Channel(1, None),)))
    assert (first.read((2,)) == image("ZCYX")[2, 1]).all()


@pytest.mark.parametrize("axes", ["TZYX", "XZTY"])
@pytest.mark.parametrize(("rows", "columns"), [("Z", "X"), ("Y", "Z"), ("X", "Y"), ("Z", "Y"), ("T", "X")])
def test_planes_in_any_direction_are_read_and_written(axes, rows, columns):
    array = image(axes)
    stack = Stack((array,), Selection(axes, rows=rows, columns=columns))
    free = stack.selection.free
    assert set(free) == set("TZYX") - {rows, columns}
    labels = stack.blank(np.int32)
    for place in stack.places():
        plane = stack.read(place)
        at = dict(zip(free, place, strict=True))
        whole = image("TZYX")[tuple(at.get(letter, slice(None)) for letter in "TZYX")]
        shown = whole if "TZYX".index(rows) < "TZYX".index(columns) else whole.T
        assert (plane == shown).all()
        assert plane.shape == (SIDES[rows], SIDES[columns])
        stack.write(labels, place, plane)
    assert (labels == array).all()


@pytest.mark.parametrize("axes", ["YX", "XY", "ZXY"])
def test_colours_stay_with_their_pixel(axes, rng):
    colours = rng.integers(0, 255, (*image(axes).shape, 3), dtype=np.uint8)
    stack = Stack((colours,), Selection(axes, rgb=True))
    assert stack.shape == colours.shape[:-1]
    for place in stack.places():
        expected = colours[place]
        assert (stack.read(place) == (expected.swapaxes(0, 1) if "XY" in axes else expected)).all()


@pytest.mark.parametrize("axes", ["YX", "XY", "ZXY", "CYX"])
def test_one_colour_of_an_image_is_a_grey_image(axes, rng):
    colours = rng.integers(0, 255, (*image(axes).shape, 4), dtype=np.uint8)
    window = (20.0, 90.0)
    for n in range(3):
        grey = colours[..., n]
        alone = Stack((colours,), Selection(axes, rgb=True, channels=(Channel(n, None),)))
        shown = Stack((colours,), Selection(axes, rgb=True, channels=(Channel(n, window, (0, 1, 1)),)))
        assert alone.shape == grey.shape
        for place in alone.places():
            assert (alone.read(place) == Stack((grey,), Selection(axes)).read(place)).all()
            other = Selection(axes, channels=(Channel(0, window, (0, 1, 1)),))
            assert (shown.read(place) == Stack((grey,), other).read(place)).all()


def test_channels_are_mixed_into_one_picture():
    channels = (Channel(0, (0, 200), (1, 0, 0)), Channel(2, None, (0, 1, 1), 0.8))
    array = image("ZCYX")
    read = Stack((array,), Selection("ZCYX", channels=channels)).read((1,))
    assert (read == mix([array[1, 0], array[1, 2]], channels)).all()
    # What a channel shows is shown also if it is the only one.
    single = Stack((array,), Selection("ZCYX", channels=channels[:1])).read((1,))
    assert (single == mix([array[1, 0]], channels[:1])).all()


class Counted:
    """A lazy array whose blocks of one plane each are counted when computed."""

    def __init__(self, array, planes):
        self.computed = []

        def load(block_info=None):
            place = block_info[None]["array-location"]
            self.computed.append(tuple(start for start, _ in place[:planes]))
            return array[tuple(slice(*ends) for ends in place)]

        chunks = [(1,) * side for side in array.shape[:planes]] + [(side,) for side in array.shape[planes:]]
        self.array = da.map_blocks(load, chunks=chunks, dtype=array.dtype)


def test_only_the_planes_asked_for_are_read():
    counted = Counted(image("TCZYX"), 3)
    stack = Stack((counted.array,), Selection("TCZYX", at={"T": 1}, channels=(Channel(2, None), Channel(0, None))))
    labels = stack.blank(np.uint16)
    assert stack.places() == [(1, n) for n in range(4)]
    lazy = stack.lazy((1, 3))
    assert counted.computed == []
    assert all(isinstance(part, da.Array) for part in lazy)
    stack.read((1, 3))
    assert sorted(counted.computed) == [(1, 0, 3), (1, 2, 3)]
    stack.write(labels, (1, 3), np.ones((6, 7), np.uint16))
    assert len(counted.computed) == 2


def test_only_the_level_and_the_part_asked_for_are_read():
    asked = []

    class Level:
        def __init__(self, array):
            self.array, self.shape, self.dtype = array, array.shape, array.dtype

        def __getitem__(self, at):
            asked.append((self.shape, at))
            return self.array[at]

    pyramid = Level(image("ZYX")), Level(image("ZYX")[:, ::2, ::2])
    stack = Stack(pyramid, Selection("ZYX", level=1, region=(1, 0, 3, 2)))
    assert stack.shape == (4, 3, 4)
    assert (stack.read((2,)) == image("ZYX")[2, 2:6:2, 0:4:2]).all()
    assert asked == [((4, 3, 4), (2, slice(1, 3), slice(0, 2)))]


def test_labels_of_all_channels_share_their_memory():
    stack = Stack((image("CZYX"),), Selection("CZYX", channels=(Channel(2, None),), at={"Z": 1}))
    labels = stack.blank(np.int32)
    assert labels.shape == (3, 4, 6, 7)
    assert not labels.any()
    plane = np.arange(42).reshape(6, 7)
    stack.write(labels, (1,), plane)
    assert (labels[:, 1] == plane).all()
    assert not labels[:, [0, 2, 3]].any()
    labels[0, 1, 0, 0] = 99
    assert (labels[:, 1, 0, 0] == 99).all()
    assert (np.array(labels) == labels).all()


@pytest.mark.parametrize("axes", ["ZYX", "XYZ"])
def test_a_region_is_read_and_its_labels_are_written_in_place(axes):
    stack = Stack((image(axes),), Selection(axes, region=(2, -3, 5, 4)))
    assert (stack.read((1,)) == image("ZYX")[1, 2:5, 0:4]).all()
    labels = stack.blank(np.int32)
    stack.write(labels, (1,), np.full((3, 4), 7))
    assert set(np.unique(labels)) == {0, 7}
    shown = labels[1] if axes == "ZYX" else labels[..., 1].T
    assert (shown[2:5, 0:4] == 7).all()
    assert (labels > 0).sum() == 12


@pytest.mark.parametrize("region", [(6, 0, 9, 7), (0, 7, 6, 9), (-5, 0, 0, 7), (3, 3, 3, 5), (4, 0, 2, 7)])
def test_a_region_outside_is_refused(region):
    stack = Stack((image("YX"),), Selection("YX", region=region))
    with pytest.raises(ImageError, match="outside of the image"):
        stack.read(())


def test_labels_lie_inside_of_any_outline():
    square = ((0.5, 0.5), (0.5, 3.5), (4.5, 3.5), (4.5, 0.5))
    corner = ((3.5, 4.5), (3.5, 9.0), (9.0, 9.0), (9.0, 4.5))
    shape = image("ZYX").shape
    assert Selection("ZYX").inside(shape) is None
    inside = Selection("ZYX", outlines=(square, corner)).inside(shape)
    expected = np.zeros((6, 7), bool)
    expected[1:5, 1:4] = expected[4:, 5:] = True
    assert (inside == expected).all()
    part = Selection("ZYX", outlines=(square, corner), region=(2, 1, 6, 7)).inside(shape)
    assert (part == expected[2:6, 1:7]).all()
    slanted = ((0.0, 0.0), (5.0, 6.0), (5.0, 0.0))
    assert (Selection("YX", outlines=(slanted,)).inside((6, 7)) == polygon2mask((6, 7), np.array(slanted))).all()
    # Rows and columns are those of the plane as shown.
    across = Selection("ZYX", rows="X", columns="Z", outlines=(((0.5, 0.5), (0.5, 2.5), (5.5, 2.5), (5.5, 0.5)),))
    assert across.inside(shape).shape == (7, 4)
    assert across.inside(shape)[1:6, 1:3].all()


def test_planes_are_those_chosen_in_the_array_s_order():
    shape = image("TZYX").shape
    assert Selection("TZYX").places(shape) == [(t, z) for t in range(2) for z in range(4)]
    assert Selection("ZTYX").places((4, 2, 6, 7)) == [(z, t) for z in range(4) for t in range(2)]
    assert Selection("TZYX", at={"T": 1, "Z": None}).places(shape) == [(1, z) for z in range(4)]
    assert Selection("TZYX", at={"T": 1, "Z": 3}).places(shape) == [(1, 3)]
    assert Selection("YX").places((6, 7)) == [()]
    for outside in (4, -1):
        with pytest.raises(ImageError, match=f"no Z = {outside}: the image has 4, counted from 0"):
            Selection("TZYX", at={"Z": outside}).places(shape)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"axes": "ZY"}, "have no X"),
        ({"axes": "YXS"}, "no axis 'S'"),
        ({"axes": "ZYX", "rows": "T"}, "two of the image's axes ZYX, not T and X"),
        ({"axes": "ZYX", "rows": "X"}, "two of the image's axes ZYX, not X and X"),
        ({"axes": "CYX", "rows": "C"}, "Channels are no direction in space"),
        ({"axes": "ZYX", "at": {"T": 0}}, "no position along T to choose in an image with axes ZYX"),
        ({"axes": "ZYX", "at": {"Y": 0}}, "no position along Y"),
        ({"axes": "CYX", "at": {"C": 0}}, "no position along C"),
        ({"axes": "ZYX", "rows": "Z", "at": {"Z": 0}}, "no position along Z"),
    ],
)
def test_selections_that_do_not_fit_together_are_refused(arguments, sentence):
    with pytest.raises(AxesError, match=sentence):
        Selection(**arguments)


def test_there_are_three_colours():
    with pytest.raises(ImageError, match="red, green, blue: 0, 1 and 2"):
        Selection("YX", rgb=True, channels=(Channel(3, None),))


@pytest.mark.parametrize(
    ("shape", "selection", "sentence"),
    [
        ((6, 7), Selection("ZYX"), r"scan.tif has the shape \(6, 7\), which does not fit the axes ZYX"),
        ((4, 6, 7, 3), Selection("ZYX"), "does not fit the axes ZYX"),
        ((4, 6, 7), Selection("ZYX", rgb=True), "does not fit the axes ZYX and colours"),
        ((4, 0, 7), Selection("ZYX"), "has no pixels"),
        ((6, 7), Selection("YX", level=1), "has 1 levels, so there is no level 1"),
        ((6, 7), Selection("YX", level=-1), "no level -1"),
        ((3, 6, 7), Selection("CYX", channels=(Channel(0, None), Channel(3, None))), "has no channel 3"),
    ],
)
def test_images_that_do_not_fit_the_selection_are_refused(shape, selection, sentence):
    with pytest.raises(ImageError, match=sentence):
        Stack((np.zeros(shape, np.uint8),), selection, "scan.tif")


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.full((2, 6, 7), np.nan, np.float32), "scan.tif: .*NaN"),
        (np.ones((2, 6, 7), bool), "scan.tif: .*boolean"),
        (np.ones((2, 6, 7)), "scan.tif: .*64-bit"),
        (np.ones((2, 6, 7), np.complex64), "scan.tif: .*complex"),
    ],
)
@pytest.mark.parametrize("channels", [(), (Channel(0, (0, 9)), Channel(1, None))])
def test_planes_that_are_no_images_are_refused_by_name(array, sentence, channels):
    with pytest.raises(ImageError, match=sentence):
        Stack((array,), Selection("CYX", channels=channels), "scan.tif").read(())


HALVED = [(4000 >> n, 3000 >> n) for n in range(5)]


@pytest.mark.parametrize(
    ("shapes", "scales", "pixel", "level"),
    [
        (HALVED, ["organ"], None, 3),
        (HALVED, ["organ"], 0.25, 3),
        (HALVED, ["cell"], None, 0),
        (HALVED, ["cell"], 0.25, 1),
        (HALVED, ["cell"], 0.1, 2),
        (HALVED, ["cell"], 0.74, 0),
        (HALVED, ["cell"], 8.0, 0),
        (HALVED, ["organelle"], 0.37, 1),
        (HALVED, ["organ", "cell"], 0.25, 1),
        (HALVED[:1], ["organ"], 0.25, 0),
        ([(200, 100), (100, 50)], ["organ"], None, 0),
    ],
)
def test_a_level_suits_what_is_looked_for(shapes, scales, pixel, level):
    assert choose_level(shapes, scales, 384, pixel) == level


def test_a_coarser_levels_pixels_are_larger_along_the_axes_that_there_are():
    levels = tuple(np.zeros((2, 6, side, side, 3)) for side in (100, 50, 25))
    stack = Stack(levels, Selection("TZYX", rgb=True, level=2))
    assert stack.downsampling == {"T": 1, "Z": 1, "Y": 4, "X": 4}
    assert stack.spacing({"T": 30.0, "Z": 2.0, "Y": 0.5, "X": 0.25}) == {"T": 30, "Z": 2, "Y": 2, "X": 1}
    assert Stack((np.zeros((5, 5)),), Selection("YX")).spacing({"Z": 2.0, "Y": 0.5}) == {"Y": 0.5}


@pytest.mark.parametrize(
    ("selection", "shape", "solid"),
    [
        (Selection("YX"), (9, 9), False),
        (Selection("TYX"), (3, 9, 9), False),
        (Selection("ZYX"), (3, 9, 9), True),
        (Selection("ZYX"), (1, 9, 9), False),
        (Selection("ZYX", at={"Z": 1}), (3, 9, 9), False),
        (Selection("ZYX", rows="X", columns="Y"), (3, 9, 9), True),
        (Selection("ZYX", rows="Z"), (3, 9, 9), False),
        (Selection("TZYX", at={"T": 0}), (2, 3, 9, 9), True),
    ],
)
def test_objects_are_volumes_where_several_sections_are_parsed_and_labels_go_over_them(selection, shape, solid):
    stack = Stack((np.zeros(shape),), selection)
    assert stack.solid == solid
    assert stack.has_volumes(instances=False, link=False) == solid
    assert stack.has_volumes(instances=True, link=True) == solid
    assert not stack.has_volumes(instances=True, link=False)


def test_channels_have_their_files_names_or_numbers():
    two = Stack((image("ZCYX")[:, :2],), Selection("ZCYX", channels=(Channel(1, None),)))
    assert two.channel_names(("DAPI", "GFP")) == ["DAPI", "GFP"]
    assert two.read_names(("DAPI", "GFP")) == ["GFP"]
    assert (two.channel_names(), two.read_names()) == (["channel_0", "channel_1"], ["channel_1"])
    seen = two.intensities(("DAPI", "GFP"))
    assert (seen["GFP"].plane(z=3) == image("ZCYX")[3, 1]).all()
    one = Stack((image("YX"),), Selection("YX"))
    assert (one.channel_names(), list(one.intensities(["DAPI"]))) == (["channel_0"], ["DAPI"])


def test_colours_and_layers_of_their_own_have_names_too():
    colours = np.stack([image("YX"), image("YX") + 1, image("YX") + 2, image("YX")], axis=-1)
    seen = Stack((colours,), Selection("YX", rgb=True)).intensities()
    assert list(seen) == ["red", "green", "blue"]
    assert (seen["blue"].plane() == image("YX") + 2).all()
    blue = Stack((colours,), Selection("YX", rgb=True, channels=(Channel(2, None),)))
    assert (blue.channel_names(), blue.read_names()) == (["red", "green", "blue"], ["blue"])
    layers = (image("YX"),), (image("YX") * 2,)
    apart = Stack(layers[0], Selection("YX", channels=(Channel(0, None), Channel(1, None))), "a, b", layers)
    assert (apart.intensities()["channel_1"].plane() == image("YX") * 2).all()
