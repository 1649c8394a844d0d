"""Colours of labels as napari's own layers show them."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_biomedparse.ontology.palette import by_label
from napari_biomedparse.plugin.colours import label_colours
from napari_biomedparse.plugin.many_colours import HIGHEST, OTHERS, table_colours
from tests.plugin import test_layers

CLEAR = (0, 0, 0, 0)
COLOURS = {"nuclei": (0.9, 0.2, 0.1, 1.0), "cell": (0.1, 0.3, 0.9, 1.0)}
# A screen shows no finer ones.
FINE = 0.5 / 255


def named(labels):
    return {label: "nuclei" if label % 2 else "cell" for label in labels}


def assert_colours(layer, expected):
    """A layer gives labels these colours, one by one and all together."""
    for label, colour in expected.items():
        own = layer.get_color(label)
        np.testing.assert_allclose(CLEAR if own is None else own, colour, atol=FINE, err_msg=str(label))
    labels = np.array(list(expected), layer.data.dtype)
    np.testing.assert_allclose(layer.colormap.map(labels), list(expected.values()), atol=FINE)


def layer_of(labels, dtype, *arguments):
    return Labels(np.array([list(labels)], dtype), colormap=label_colours(*arguments))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_prompts_have_their_colours_and_all_others_are_grey(dtype):
    layer = layer_of(range(5), dtype, {1: "nuclei", 2: "cell"}, COLOURS, set(), False)
    assert_colours(layer, {0: CLEAR, 1: COLOURS["nuclei"], 2: COLOURS["cell"], 3: OTHERS, np.iinfo(dtype).max: OTHERS})


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_labels_of_hidden_prompts_stay_clear(dtype, separate):
    names = named(range(1, 9))
    layer = layer_of(range(10), dtype, names, COLOURS, {"cell"}, separate)
    shown = by_label({label: prompt for label, prompt in names.items() if prompt == "nuclei"}, COLOURS, separate)
    assert_colours(layer, {0: CLEAR, **dict.fromkeys((2, 4, 6, 8), CLEAR), **shown, 9: OTHERS})
    hidden = layer_of(range(10), dtype, names, COLOURS, set(COLOURS), separate)
    assert_colours(hidden, {**dict.fromkeys(range(9), CLEAR), 9: OTHERS})


def test_before_there_are_names_all_is_grey():
    assert_colours(layer_of([0, 1], np.int32, {}, {}, set(), True), {0: CLEAR, 1: OTHERS})


def test_labels_far_apart_have_the_colours_of_their_own():
    labels = [1, 2, 70_000, 1_000_001]
    layer = layer_of([0, *labels], np.int32, named(labels), COLOURS, {"cell"}, True)
    shades = by_label({1: "nuclei", 1_000_001: "nuclei"}, COLOURS, True)
    expected = {0: CLEAR, 2: CLEAR, 70_000: CLEAR, **shades}
    assert_colours(layer, {**expected, **dict.fromkeys((3, 65_536, 69_999, 70_001, 1_000_002, 2**31 - 1), OTHERS)})


@pytest.mark.parametrize("separate", [False, True])
def test_there_may_be_very_many(separate):
    names = named(range(1, 70_001))
    layer = layer_of([0, 1], np.int32, names, COLOURS, set(), separate)
    some = (1, 2, 65_535, 65_536, 65_537, 69_999, 70_000)
    expected = by_label({label: names[label] for label in some}, COLOURS, separate)
    assert_colours(layer, {0: CLEAR, **expected, 70_001: OTHERS})
    layer.colormap = label_colours(names, COLOURS, {"cell"}, separate)
    assert_colours(layer, {0: CLEAR, 69_999: expected[69_999], 70_000: CLEAR, 70_001: OTHERS})


def test_more_names_than_a_layer_can_have_labels():
    names = named(range(1, 70_001))
    layer = layer_of([0, 1], np.uint16, names, COLOURS, set(), True)
    assert_colours(layer, {0: CLEAR, **by_label({1: "nuclei", 65_535: "nuclei"}, COLOURS, True)})


def test_labels_above_all_tables_are_grey(monkeypatch):
    monkeypatch.setattr("napari_biomedparse.plugin.many_colours.HIGHEST", 1000)
    labels = [1, 999, 1000, 1001, 2**31 - 1]
    layer = layer_of([0, *labels], np.int32, named(labels), COLOURS, set(), False)
    expected = {1: COLOURS["nuclei"], 999: COLOURS["nuclei"], 1000: COLOURS["cell"]}
    assert_colours(layer, {0: CLEAR, **expected, 1001: OTHERS, 2**31 - 1: OTHERS})


def test_a_table_says_where_it_does_not_reach():
    assert table_colours(np.array([1, HIGHEST + 1]), np.array([0, 0]), [COLOURS["cell"]]) is None


def test_what_is_painted_by_hand_is_seen_at_once():
    viewer = ViewerModel()
    _, layer = test_layers.show(viewer, viewer.add_image(np.zeros((24, 32), np.uint8)), [test_layers.square()])
    assert layer.get_color(1)[3] == 1
    new = int(layer.data.max()) + 1
    layer.selected_label, layer.brush_size = new, 3
    layer.paint((15, 20), new)
    assert layer.data[15, 20] == new
    np.testing.assert_allclose(layer.get_color(new), OTHERS)
    np.testing.assert_allclose(layer.colormap.map(layer.data)[15, 20], OTHERS)


@pytest.mark.parametrize("label", [1, 70_000, 70_001])
def test_what_is_shown_are_the_colours_of_very_many(viewer, label):
    names = named(range(1, 70_001))
    layer = viewer.add_labels(np.full((20, 20), label, np.int32), opacity=1)
    layer.colormap = label_colours(names, COLOURS, set(), True)
    expected = by_label(names, COLOURS, True).get(label, OTHERS)
    for only_selected in (False, True):
        layer.selected_label, layer.show_selected_label = label, only_selected
        picture = viewer.screenshot(canvas_only=True, flash=False)
        middle = picture[picture.shape[0] // 2, picture.shape[1] // 2] / 255
        np.testing.assert_allclose(middle, expected, atol=1.5 / 255)
