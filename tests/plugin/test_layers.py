"""From the plane on the screen to a labels layer that lies exactly over it."""

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_biomedparse import ImageError, ObjectMask, PixelSize
from napari_biomedparse.plugin.layers import METADATA_KEY, ParsedLayer
from napari_biomedparse.plugin.planes import shown_plane


def square(shape=(24, 32), prompt="nuclei"):
    probability = np.zeros(shape, np.float32)
    probability[4:10, 5:15] = 0.9
    return ObjectMask(prompt, probability)


AFFINE = np.array([[1.1, 0.2, 3], [-0.1, 0.9, -4], [0, 0, 1]])
LAYERS = {
    "2d": lambda: Image(np.zeros((24, 32), np.uint8)),
    "rgb": lambda: Image(np.zeros((24, 32, 3), np.uint8), rgb=True, scale=(0.5, 0.25), translate=(7, -3)),
    "units": lambda: Image(
        np.zeros((24, 32), np.uint8), scale=(0.5, 0.5), units=("um", "um"), axis_labels=("row", "column")
    ),
    "rotated": lambda: Image(np.zeros((24, 32), np.uint8), rotate=30, shear=[0.3], scale=(2, 3), translate=(1, 2)),
    "affine": lambda: Image(np.zeros((24, 32), np.uint8), affine=AFFINE, scale=(2, 1)),
    "zyx": lambda: Image(np.zeros((5, 24, 32), np.uint8), scale=(3, 1, 1), translate=(10, 0, 0)),
    "tzyx": lambda: Image(np.zeros((2, 3, 24, 32), np.uint16), scale=(1, 2, 0.5, 0.5)),
    "lazy": lambda: Image(da.zeros((4, 24, 32), dtype=np.uint8, chunks=(1, 24, 32))),
    "multiscale": lambda: Image([np.zeros((24, 32), np.uint8), np.zeros((12, 16), np.uint8)], multiscale=True),
}


@pytest.fixture(params=LAYERS)
def layer(request):
    return LAYERS[request.param]()


def test_labels_lie_where_the_image_lies(layer):
    viewer = ViewerModel()
    viewer.add_layer(layer)
    plane = shown_plane(viewer, layer)
    labels = ParsedLayer(plane, [square()], 0.5, "mini").add_to(viewer)
    assert labels.ndim == layer.ndim
    assert labels.data.shape == plane.shape
    for name in ("scale", "translate", "rotate", "shear"):
        np.testing.assert_allclose(getattr(labels, name), getattr(layer, name))
    np.testing.assert_allclose(labels.affine.affine_matrix, layer.affine.affine_matrix)
    assert labels.units == layer.units
    assert labels.axis_labels == layer.axis_labels
    pixels = np.argwhere(labels.data == 1)
    assert len(pixels) == 60
    assert pixels[:, -2:].min(axis=0).tolist() == [4, 5]
    for pixel in pixels[::13]:
        np.testing.assert_allclose(labels.data_to_world(pixel), layer.data_to_world(pixel))


def test_the_plane_at_the_sliders_is_read_and_labelled(rng):
    viewer = ViewerModel()
    data = rng.integers(0, 255, (3, 4, 24, 32), dtype=np.uint8)
    layer = viewer.add_image(data, scale=(1, 2.5, 0.5, 0.5), translate=(0, 5, 0, 0))
    viewer.dims.set_point((0, 1), (2, 5 + 2.5 * 3))
    plane = shown_plane(viewer, layer)
    assert plane.index[:2] == (2, 3)
    assert (plane.read(plane.lazy()) == data[2, 3]).all()
    labels = ParsedLayer(plane, [square()], 0.5, "mini").add_to(viewer)
    assert np.unique(np.argwhere(labels.data)[:, :2], axis=0).tolist() == [[2, 3]]


def test_other_axes_on_the_screen(rng):
    viewer = ViewerModel()
    data = rng.integers(0, 255, (24, 7, 32), dtype=np.uint8)
    layer = viewer.add_image(data)
    viewer.dims.order = (1, 2, 0)
    viewer.dims.set_point(1, 4)
    plane = shown_plane(viewer, layer)
    assert (plane.read(plane.lazy()) == data[:, 4].T).all()
    parsed = ParsedLayer(plane, [square((32, 24))], 0.5, "mini")
    assert (square((32, 24)).mask() == parsed.layer.data[:, 4].T).all()


def test_lazy_data_is_read_only_where_it_is_needed():
    read = []

    def block(block_info=None):
        read.append(block_info[None]["chunk-location"])
        return np.ones((1, 24, 32), np.uint8)

    viewer = ViewerModel()
    data = da.map_blocks(block, chunks=((1,) * 6, (24,), (32,)), dtype=np.uint8, meta=np.zeros((0, 0, 0), np.uint8))
    layer = viewer.add_image(data, contrast_limits=(0, 1))
    viewer.dims.set_point(0, 3)
    read.clear()
    plane = shown_plane(viewer, layer)
    lazy = plane.lazy()
    assert not read
    plane.read(lazy)
    assert read == [(3, 0, 0)]


@settings(deadline=None, max_examples=25)
@given(st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_labels_less(low, high):
    low, high = sorted((low, high))
    ramp = ObjectMask("nuclei", np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10))
    viewer = ViewerModel()
    parsed = ParsedLayer(shown_plane(viewer, viewer.add_image(np.zeros((10, 10)))), [ramp], low, "mini")
    before = parsed.layer.data > 0
    parsed.paint(high)
    assert ((parsed.layer.data > 0) <= before).all()
    assert (parsed.layer.data > 0).sum() == (ramp.probability > high).sum()


def test_names_features_and_colours():
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((24, 32), np.uint8), name="well A1", scale=(0.5, 0.5), units=("um", "um"))
    masks = [square(), ObjectMask("flux capacitor", np.full((24, 32), 0.6, np.float32))]
    parsed = ParsedLayer(shown_plane(viewer, image), masks, 0.5, "mini")
    layer = parsed.layer
    assert layer.name == "well A1 · BiomedParse · nuclei, flux capacitor"
    assert layer.metadata[METADATA_KEY]["names"] == {1: "nuclei", 2: "flux capacitor"}
    features = layer.features.set_index("index")
    assert features["prompt"].to_dict() == {1: "nuclei", 2: "flux capacitor"}
    assert features.loc[1, "area_px"] == 60
    assert features.loc[1, "area_um2"] == 15
    assert features.loc[1, "confidence"] == pytest.approx(0.9)
    assert not np.allclose(layer.get_color(1), layer.get_color(2))
    assert layer.get_color(0) is None or layer.get_color(0)[3] == 0
    parsed.paint(0.7)
    parsed.describe()
    assert layer.features["index"].tolist() == [1]
    parsed.paint(1.0)
    parsed.describe()
    assert len(layer.features) == 0


def test_pixel_size_is_known_only_in_physical_units():
    viewer = ViewerModel()
    plain = viewer.add_image(np.zeros((4, 5)), scale=(2, 2))
    assert shown_plane(viewer, plain).pixel_size is None
    physical = viewer.add_image(np.zeros((3, 4, 5)), scale=(9, 0.5, 0.25), units=("um", "nm", "nm"))
    assert shown_plane(viewer, physical).pixel_size == PixelSize(0.5, 0.25, "nm")


def test_a_layer_with_features_can_be_added_in_3d():
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((4, 24, 32), np.uint8))
    viewer.dims.ndisplay = 3
    viewer.mouse_over_canvas = True
    labels = ParsedLayer(shown_plane(viewer, layer), [square()], 0.5, "mini").add_to(viewer)
    assert isinstance(labels, Labels)
    assert viewer.layers.index(labels) == viewer.layers.index(layer) + 1


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (np.zeros((8, 8), bool), "boolean"),
        (np.zeros((8, 8)), "64-bit"),
        (np.full((8, 8), np.nan, np.float32), "NaN or infinite"),
    ],
)
def test_layers_that_cannot_be_parsed_are_refused_by_name(data, sentence):
    viewer = ViewerModel()
    layer = viewer.add_image(data, name="odd one", contrast_limits=(0, 1))
    plane = shown_plane(viewer, layer)
    with pytest.raises(ImageError, match=rf"odd one.*{sentence}"):
        plane.read(plane.lazy())


def test_a_layer_away_from_the_sliders_is_refused():
    viewer = ViewerModel()
    near = viewer.add_image(np.zeros((3, 8, 8), np.uint8), name="near")
    viewer.add_image(np.zeros((3, 8, 8), np.uint8), translate=(50, 0, 0))
    viewer.dims.set_point(0, 51)
    with pytest.raises(ImageError, match=r"near has no plane at this position"):
        shown_plane(viewer, near)
