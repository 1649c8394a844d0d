"""Where the sliders stand, what shapes lie around and how large pixels are, whatever places and units layers have."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_biomedparse import ImageError
from napari_biomedparse.engine.session import Loaded, Session
from napari_biomedparse.plugin.counting import measure_of, spacing_of
from napari_biomedparse.plugin.layers import transforms
from napari_biomedparse.plugin.planning import shown_place, stack_of
from napari_biomedparse.plugin.result_actions import ResultActions
from napari_biomedparse.plugin.selecting import Choices
from tests.plugin.directly import Direct, Now

ZYX = ("z", "y", "x")


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def control(viewer, predictor):
    return Direct(viewer, Session(loaded=Loaded(predictor, ("mini", "auto"), {"mini": "0" * 64})), Now())


def ramp(planes=10):
    """Return planes whose pixels are their numbers."""
    return np.arange(planes, dtype=np.uint8)[:, None, None] * np.ones((1, 32, 32), np.uint8)


def shown(layer):
    """Return the pixels of the plane that napari shows of a layer."""
    return np.asarray(layer._slice.image.raw)


def parsed(viewer, layer):
    """Return the plane that a run would parse, which has to be the one that counts as shown."""
    stack = stack_of(viewer, layer, ["nuclei"], Choices())
    (place,) = stack.places()
    assert shown_place(viewer, stack, layer) == place
    return place


@pytest.mark.parametrize(("finest", "coarse"), [(16, 8), (16, 4), (15, 8), (7, 3), (8, 8)])
@pytest.mark.parametrize("axes", ["zyx", "tyx"])
def test_of_a_pyramid_reduced_along_all_axes_the_plane_is_parsed_whose_labels_are_shown(viewer, finest, coarse, axes):
    levels = [np.zeros((finest, 1024, 4), np.uint8), np.zeros((coarse, 512, 2), np.uint8)]
    image = viewer.add_image(levels, multiscale=True, axis_labels=axes, scale=(2, 0.5, 0.5), translate=(3, 0, 0))
    labels = None
    for number in range(finest):
        viewer.dims.set_point(0, 3 + 2 * number)
        stack = stack_of(viewer, image, ["liver"], Choices())
        assert stack.selection.level == 1
        (place,) = stack.places()
        assert shown_place(viewer, stack, image) == place
        if labels is None:
            numbers = np.arange(coarse)[:, None, None] * np.ones((1, 512, 2), int)
            labels = viewer.add_labels(numbers, **transforms(image, stack.selection, stack.shape))
        assert np.unique(shown(labels)).tolist() == [place[0]]


def test_positions_outside_of_a_reduced_pyramid_are_refused_and_count_as_no_plane(viewer):
    levels = [np.zeros((16, 1024, 4), np.uint8), np.zeros((8, 512, 2), np.uint8)]
    image = viewer.add_image(levels, multiscale=True, axis_labels=ZYX)
    viewer.add_image(np.zeros((40, 4, 4)), translate=(-10, 0, 0))
    stack = stack_of(viewer, image, ["liver"], Choices("z"))
    assert len(stack.places()) == 8
    for point, place in ((-1, -1), (16, 8)):
        viewer.dims.set_point(0, point)
        assert shown_place(viewer, stack, image) == (place,)
        with pytest.raises(ImageError, match="no plane at this position"):
            stack_of(viewer, image, ["liver"], Choices())


@pytest.mark.parametrize("override", [None, ("mm",) * 3])
def test_layers_of_different_units_have_the_plane_parsed_that_is_shown(viewer, override):
    one = viewer.add_image(ramp(), scale=(0.5, 0.1, 0.1), units=("um",) * 3, axis_labels=ZYX)
    two = viewer.add_image(ramp(), scale=(500, 100, 100), units=("nm",) * 3, axis_labels=ZYX, translate=(1000, 0, 0))
    if override:
        viewer.layers.units = override
    for step in range(2, 10):
        viewer.dims.set_current_step(0, step)
        for layer, number in ((one, step), (two, step - 2)):
            assert np.unique(shown(layer)).tolist() == [number]
            assert parsed(viewer, layer) == (number,)


def test_a_layer_of_fewer_dimensions_than_the_viewer_has_its_own_units(viewer):
    deep = viewer.add_image(ramp()[:, None] * np.ones((1, 4, 1, 1)), units=("s", "um", "um", "um"), axis_labels="tzyx")
    flat = viewer.add_image(ramp(4), scale=(1000,) * 3, units=("nm",) * 3, axis_labels=ZYX)
    viewer.dims.set_current_step(0, 7)
    viewer.dims.set_current_step(1, 2)
    assert parsed(viewer, deep) == (7, 2)
    assert parsed(viewer, flat) == (2,)


@pytest.mark.parametrize("units", [(None, None), (None, "um"), ("um", "um")])
def test_without_units_or_with_such_that_do_not_fit_nothing_is_converted(viewer, units):
    layers = [
        viewer.add_image(ramp(), scale=(2, 1, 1), units=unit and (unit,) * 3, axis_labels=ZYX, name=str(unit))
        for unit in units
    ]
    viewer.dims.set_point(0, 6)
    assert [parsed(viewer, layer) for layer in layers] == [(3,), (3,)]


@pytest.mark.parametrize(("drawn", "units", "of_image"), [(10, "um", "mm"), (0.01, "mm", "um"), (10, None, None)])
def test_a_shape_selects_what_it_lies_around_in_units_of_its_own(viewer, drawn, units, of_image):
    """A pixel of the image is 10 um; the shape is drawn around rows 20 to 40 and columns 30 to 60."""
    side = 0.01 if of_image == "mm" else 10
    image = viewer.add_image(np.zeros((100, 120), np.uint8), scale=(side, side), units=of_image and (of_image,) * 2)
    box = np.array([[20, 30], [20, 60], [40, 60], [40, 30]], float)
    viewer.add_shapes([box], shape_type="rectangle", scale=(drawn, drawn), units=units and (units,) * 2)
    stack = stack_of(viewer, image, ["nuclei"], Choices("shapes"))
    assert np.allclose(stack.selection.outlines, [box])
    assert np.allclose(stack.selection.region, (20, 30, 41, 61), atol=1)


def test_going_to_a_prompt_shows_its_labels_beside_a_layer_of_another_unit(viewer, control, fluorescence):
    """Of a pyramid of 6 and 4 planes, where the last of the coarse ones has nuclei."""
    coarse = np.zeros((4, 160, 200), np.uint8)
    coarse[3] = fluorescence[0][:160, :200]
    fine = coarse[[0, 1, 1, 2, 3, 3]].repeat(2, axis=1).repeat(2, axis=2)
    place = {"axis_labels": ZYX, "units": ("um",) * 3}
    image = viewer.add_image([fine, coarse], multiscale=True, scale=(2, 0.25, 0.25), **place)
    control.find(image, ["nuclei"], Choices("z"), None)
    (labels,) = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    assert labels.data.shape == coarse.shape
    viewer.add_image(np.zeros((12, 4, 4)), scale=(1000,) * 3, **place | {"units": ("nm",) * 3})
    viewer.dims.set_point(0, 0)
    assert not shown(labels).any()
    ResultActions(viewer, control, Now()).go_to("nuclei")
    assert (shown(labels) == labels.data[3]).all()
    assert shown(labels).any()
    assert parsed(viewer, image) == (3,)


UM = {"units": ("um", "um")}
PLACED = {
    "scale": {"scale": (0.5, 0.25)},
    "flipped": {"scale": (-0.5, 0.25)},
    "affine": {"affine": np.diag([0.5, 0.25, 1])},
    "both": {"scale": (-1, 0.5), "affine": np.diag([0.5, -0.5, 1]), "translate": (1e6, 3.3)},
    "rotated": {"scale": (0.5, 0.25), "rotate": 30},
    "turned": {"affine": np.array([[0, 0.25, 7], [-0.5, 0, 9], [0, 0, 1]])},
    "rotated by affine": {
        "affine": np.array([[0.5 * 0.6, -0.25 * 0.8, 0], [0.5 * 0.8, 0.25 * 0.6, 0], [0, 0, 1]]),
    },
}


@pytest.mark.parametrize("how", PLACED)
def test_pixels_are_as_large_as_they_lie_in_the_world(viewer, how):
    image = viewer.add_image(np.zeros((32, 32), np.uint8), **UM, **PLACED[how])
    stack = stack_of(viewer, image, ["nuclei"], Choices())
    spacing, unit = spacing_of(image, stack)
    assert unit == "µm"
    assert spacing == pytest.approx({"Y": 0.5, "X": 0.25}, rel=1e-9)
    measure = measure_of(image, stack)
    assert (measure.size, measure.unit) == (pytest.approx(0.125), "µm²")


def test_volumes_count_an_affine_along_z_and_the_level(viewer):
    levels = [np.zeros((8, 1024, 4), np.uint8), np.zeros((4, 512, 2), np.uint8)]
    placed = {"affine": np.diag([-2, 0.5, 0.5, 1]), "units": ("um",) * 3, "axis_labels": ZYX}
    image = viewer.add_image(levels, multiscale=True, **placed)
    stack = stack_of(viewer, image, ["liver"], Choices("z"))
    assert spacing_of(image, stack) == ({"Z": 4, "Y": 1, "X": 1}, "µm")
    assert (measure_of(image, stack).size, measure_of(image, stack).unit) == (4, "µm³")


@pytest.mark.parametrize(
    "place",
    [{"scale": (0.1, 0.1)}, {"scale": (-0.1, 0.1)}, {"affine": np.diag([0.1, 0.1, 1])}],
    ids=["scale", "flipped", "affine"],
)
def test_the_level_suits_the_size_that_pixels_have_in_the_world(viewer, place):
    levels = [np.zeros((1024 >> n, 1024 >> n), np.uint8) for n in range(6)]
    image = Image(levels, multiscale=True, **UM, **place)
    viewer.add_layer(image)
    assert stack_of(viewer, image, ["nuclei"], Choices()).selection.level == 2
