"""From what is selected of a layer to labels that lie exactly over it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_biomedparse import ImageError, ObjectMask
from napari_biomedparse.engine.axes import Axes, AxesError
from napari_biomedparse.engine.follow import Findings, Seen
from napari_biomedparse.engine.kept import keep
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.recipe import Recipe
from napari_biomedparse.plugin.painting import paint_plane_of
from napari_biomedparse.plugin.planning import stack_of
from napari_biomedparse.plugin.result import Result
from napari_biomedparse.plugin.selecting import Choices

AFFINE = np.array([[1.1, 0.2, 3], [-0.1, 0.9, -4], [0, 0, 1]])
LAYERS = {
    "2d": lambda: Image(np.zeros((24, 32), np.uint8)),
    "rgb": lambda: Image(np.zeros((24, 32, 3), np.uint8), rgb=True, scale=(0.5, 0.25), translate=(7, -3)),
    "units": lambda: Image(
        np.zeros((24, 32), np.uint8), scale=(0.5, 0.5), units=("um", "um"), axis_labels=("row", "column")
    ),
    "rotated": lambda: Image(np.zeros((24, 32), np.uint8), rotate=30, shear=[0.3], scale=(2, 3), translate=(1, 2)),
    "affine": lambda: Image(np.zeros((24, 32), np.uint8), affine=AFFINE, scale=(2, 1)),
    "zyx": lambda: Image(np.zeros((6, 24, 32), np.uint8), scale=(3, 1, 1), translate=(10, 0, 0)),
    "tzyx": lambda: Image(
        np.zeros((2, 7, 24, 32), np.uint16), scale=(1, 2, 0.5, 0.5), axis_labels=("t", "z", "y", "x")
    ),
    "tczyx": lambda: Image(np.zeros((2, 3, 4, 24, 32), np.uint16), axis_labels=("t", "c", "z", "y", "x")),
    "multiscale": lambda: Image([np.zeros((24, 32), np.uint8), np.zeros((12, 16), np.uint8)], multiscale=True),
}


def square(shape=(24, 32), prompt="nuclei"):
    probability = np.zeros(shape, np.float32)
    probability[4:10, 5:15] = 0.9
    return ObjectMask(prompt, probability)


def show(viewer, layer, masks):
    """Show masks as a result of the plane at the sliders."""
    choices, paint = Choices(), Paint()
    stack = stack_of(viewer, layer, [mask.prompt for mask in masks], choices)
    findings = Findings(stack, False)
    findings.add(Seen(stack.places()[0], None, tuple(keep(mask) for mask in masks)))
    recipe = Recipe(stack.selection, tuple(mask.prompt for mask in masks), paint=paint)
    result = Result(layer, findings, recipe, "ontology", False)
    result.show(viewer, [])
    for plane in paint_plane_of(findings, stack.places()[0], paint, result.groups):
        result.write(plane)
    return result, result.layers[None].layer


@pytest.fixture(params=LAYERS)
def layer(request):
    return LAYERS[request.param]()


def test_labels_lie_where_the_image_lies(layer):
    viewer = ViewerModel()
    viewer.add_layer(layer)
    _, labels = show(viewer, layer, [square()])
    assert labels.ndim == layer.ndim
    for name in ("scale", "translate", "rotate", "shear"):
        np.testing.assert_allclose(getattr(labels, name), getattr(layer, name))
    np.testing.assert_allclose(labels.affine.affine_matrix, layer.affine.affine_matrix)
    assert labels.units == layer.units
    assert labels.axis_labels == layer.axis_labels
    pixels = np.argwhere(labels.data == 1)
    assert len(pixels) == 60 * (3 if layer.ndim == 5 else 1), "once for each channel"
    assert pixels[:, -2:].min(axis=0).tolist() == [4, 5]
    for pixel in pixels[::13]:
        np.testing.assert_allclose(labels.data_to_world(pixel), layer.data_to_world(pixel))


floats = st.floats(0.1, 10)


@settings(deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(["2d", "rgb", "zyx", "tzyx", "tczyx", "multiscale"]),
    scale=st.tuples(floats, floats),
    translate=st.tuples(st.floats(-50, 50), st.floats(-50, 50)),
    angle=st.floats(-180, 180),
    prompt=st.sampled_from(["nuclei", "liver"]),
)
def test_every_pixel_of_labels_lies_on_its_pixel_of_the_image(kind, scale, translate, angle, prompt):
    """Under any transform, and on whatever level of a pyramid was parsed."""
    viewer = ViewerModel()
    layer = viewer.add_layer(LAYERS[kind]())
    layer.scale = (*layer.scale[:-2], *scale)
    layer.translate = (*layer.translate[:-2], *translate)
    turn = np.eye(layer.ndim)
    turn[-2:, -2:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    layer.rotate = turn
    result, labels = show(viewer, layer, [square(prompt=prompt)])
    assert np.argwhere(labels.data).size
    level = result.findings.stack.selection.level
    factor = 2**level
    for pixel in np.argwhere(labels.data)[::17]:
        on_image = pixel.astype(float)
        on_image[-2:] = factor * pixel[-2:] + (factor - 1) / 2
        np.testing.assert_allclose(labels.data_to_world(pixel), layer.data_to_world(on_image), atol=1e-8)


def test_the_plane_at_the_sliders_is_read_and_labelled(rng):
    viewer = ViewerModel()
    data = rng.integers(0, 255, (7, 6, 24, 32), dtype=np.uint8)
    layer = viewer.add_image(data, scale=(1, 2.5, 0.5, 0.5), translate=(0, 5, 0, 0))
    viewer.dims.set_point((0, 1), (2, 5 + 2.5 * 3))
    stack = stack_of(viewer, layer, ["nuclei"], Choices())
    assert stack.places() == [(2, 3)]
    assert (stack.read((2, 3)) == data[2, 3]).all()
    _, labels = show(viewer, layer, [square()])
    assert np.unique(np.argwhere(labels.data)[:, :2], axis=0).tolist() == [[2, 3]]


def test_other_axes_on_the_screen(rng):
    viewer = ViewerModel()
    data = rng.integers(0, 255, (24, 7, 32), dtype=np.uint8)
    layer = viewer.add_image(data, axis_labels=("z", "y", "x"))
    viewer.dims.order = (1, 2, 0)
    viewer.dims.set_point(1, 4)
    stack = stack_of(viewer, layer, ["nuclei"], Choices())
    assert (stack.read((4,)) == data[:, 4].T).all()
    _, labels = show(viewer, layer, [square((32, 24))])
    assert (square((32, 24)).mask() == labels.data[:, 4].T).all()


def test_axes_can_be_told(rng):
    viewer = ViewerModel()
    layer = viewer.add_image(rng.integers(0, 255, (6, 24, 32), dtype=np.uint8))
    told = stack_of(viewer, layer, ["nuclei"], Choices("t", axes=Axes("TYX")))
    assert len(told.places()) == 6
    assert len(stack_of(viewer, layer, ["nuclei"], Choices("t")).places()) == 1, "it is read as z"
    with pytest.raises(AxesError, match="Channels are no direction"):
        stack_of(viewer, layer, ["nuclei"], Choices(axes=Axes("XYC")))


def test_names_features_and_colours():
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((24, 32), np.uint8), name="well A1", scale=(0.5, 0.5), units=("um", "um"))
    masks = [square(), ObjectMask("flux capacitor", np.full((24, 32), 0.6, np.float32))]
    result, layer = show(viewer, image, masks)
    assert layer.name == "well A1 · BiomedParse · nuclei, flux capacitor"
    assert not np.allclose(layer.get_color(1), layer.get_color(2))
    assert layer.get_color(0) is None or layer.get_color(0)[3] == 0
    result.hidden.add("nuclei")
    result.colour()
    assert layer.get_color(1)[3] == 0
    assert layer.get_color(2)[3] == 1


def test_a_layer_with_features_can_be_added_in_3d():
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((4, 24, 32), np.uint8))
    viewer.dims.ndisplay = 3
    viewer.mouse_over_canvas = True
    result, labels = show(viewer, layer, [square()])
    result.describe(viewer)
    assert isinstance(labels, Labels)
    assert viewer.layers.index(labels) == viewer.layers.index(layer) + 1


def test_a_layer_away_from_the_sliders_is_refused():
    viewer = ViewerModel()
    near = viewer.add_image(np.zeros((6, 8, 8), np.uint8), name="near")
    viewer.add_image(np.zeros((6, 8, 8), np.uint8), translate=(50, 0, 0))
    viewer.dims.set_point(0, 51)
    with pytest.raises(ImageError, match=r"near has no plane at this position"):
        stack_of(viewer, near, ["nuclei"], Choices())
