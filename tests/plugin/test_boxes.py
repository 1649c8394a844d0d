"""Boxes in a real napari window: they lie where the labels lie, come and go with their check box."""

import threading

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Shapes
from napari.utils.colormaps.standardize_color import transform_color
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QCheckBox, QLineEdit, QPushButton

from napari_biomedparse import ObjectMask
from napari_biomedparse.ontology import colour_of
from napari_biomedparse.plugin import boxes as boxes_module
from napari_biomedparse.plugin.boxes import BoxLayer, find_boxes
from tests.plugin import test_layers

RUN = 60_000
AFFINE = np.array([[1.1, 0.2, 3], [-0.1, 0.9, -4], [0, 0, 1]])
FEATURES = ["index", "prompt", "object", "score", "top", "left", "bottom", "right"]


@pytest.fixture
def gate(monkeypatch):
    """Boxes are found only once this event has been set."""
    event, find = threading.Event(), boxes_module.box_objects

    def wait_and_find(*arguments, **options):
        assert event.wait(60)
        return find(*arguments, **options)

    monkeypatch.setattr(boxes_module, "box_objects", wait_and_find)
    yield event
    event.set()


def click_boxes(dock, qtbot):
    box = dock.findChild(QCheckBox, "boxes")
    was = box.isChecked()
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    assert box.isChecked() is not was


def parse(dock, qtbot, words="nuclei"):
    dock.findChild(QLineEdit, "prompt").setText(words)
    qtbot.mouseClick(dock.findChild(QPushButton, "parse"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not dock.findChild(QPushButton, "cancel").isEnabled(), timeout=RUN)


def only(viewer, kind):
    (layer,) = [layer for layer in viewer.layers if isinstance(layer, kind)]
    return layer


def filled(viewer, qtbot):
    """Return the shapes layer once its boxes have been found."""
    layer = only(viewer, Shapes)
    qtbot.waitUntil(lambda: len(layer.data) > 0, timeout=RUN)
    return layer


def wait_for_boxes(dock, qtbot):
    """Wait until the slider has settled and no boxes are being found."""
    qtbot.waitUntil(lambda: not dock._settle_timer.isActive() and not dock.boxes.busy, timeout=RUN)


def assert_boxes_lie_on(shapes, labels, rows=-2, columns=-1):
    """Every box's corners are the outer corners of the pixels that its features name, in the world."""
    assert len(shapes.data) == len(shapes.features) > 0
    for corners, (_, row) in zip(shapes.data, shapes.features.iterrows(), strict=True):
        inside = [corners[0].round().astype(int)[axis] for axis in range(labels.ndim)]
        first, last = np.array(inside), np.array(inside)
        first[rows], first[columns] = row["top"], row["left"]
        last[rows], last[columns] = row["bottom"] - 1, row["right"] - 1
        half = np.zeros(labels.ndim)
        half[[rows, columns]] = 0.5
        np.testing.assert_allclose(shapes.data_to_world(corners[0]), labels.data_to_world(first - half))
        np.testing.assert_allclose(shapes.data_to_world(corners[2]), labels.data_to_world(last + half))
        region = tuple(slice(low, high + 1) for low, high in zip(first, last, strict=True))
        touched = np.moveaxis(labels.data[region], (rows, columns), (-2, -1)) > 0
        touched = touched.reshape(touched.shape[-2:])
        assert touched[0].any()
        assert touched[-1].any()
        assert touched[:, 0].any()
        assert touched[:, -1].any()


def test_the_check_box_has_a_name_and_is_off_at_first(dock):
    box = dock.findChild(QCheckBox, "boxes")
    assert box.text() == "Boxes"
    assert box.accessibleName()
    assert box.toolTip()
    assert not box.isChecked()


def test_a_run_adds_boxes_right_above_the_labels(viewer, dock, qtbot, fluorescence):
    transforms = {"affine": AFFINE, "scale": (0.5, 0.25), "translate": (3, 4), "rotate": 20, "shear": [0.1]}
    image = viewer.add_image(
        fluorescence[0], name="cells", units=("um", "um"), axis_labels=("row", "column"), **transforms
    )
    viewer.add_image(np.zeros((5, 5)), name="on top", visible=False)
    viewer.layers.selection.active = image
    click_boxes(dock, qtbot)
    parse(dock, qtbot)
    labels, shapes = only(viewer, Labels), filled(viewer, qtbot)
    assert shapes.name == "cells · BiomedParse · boxes"
    assert [layer.name for layer in viewer.layers] == ["cells", labels.name, shapes.name, "on top"]
    assert viewer.layers.selection.active is labels
    for name in ("scale", "translate", "rotate", "shear", "affine"):
        np.testing.assert_allclose(np.asarray(getattr(shapes, name)), np.asarray(getattr(image, name)))
    assert shapes.units == image.units
    assert shapes.axis_labels == image.axis_labels
    assert_boxes_lie_on(shapes, labels)
    assert set(shapes.shape_type) == {"rectangle"}
    assert len(shapes.data) > 10
    np.testing.assert_allclose(
        shapes.edge_color, np.tile(transform_color(colour_of("nuclei", 1)), (len(shapes.data), 1))
    )
    assert not shapes.face_color[:, 3].any()
    assert list(shapes.features) == FEATURES
    assert shapes.features["index"].tolist() == list(range(1, len(shapes.data) + 1))
    assert set(shapes.features["object"]) == {"nucleus"}
    assert shapes.features["score"].between(0.5, 1).all()


def test_boxes_of_a_colour_image(viewer, dock, qtbot, histology):
    viewer.add_image(histology[0], rgb=True, scale=(2, 2))
    click_boxes(dock, qtbot)
    parse(dock, qtbot)
    shapes = filled(viewer, qtbot)
    assert shapes.ndim == 2
    assert_boxes_lie_on(shapes, only(viewer, Labels))


def test_boxes_lie_on_the_parsed_plane_of_a_stack(viewer, dock, qtbot, fluorescence):
    pixels = fluorescence[0]
    stack = np.stack([np.zeros_like(pixels), np.zeros_like(pixels), pixels, np.zeros_like(pixels)])
    viewer.add_image(stack, scale=(3, 0.5, 0.5), translate=(10, 0, 0))
    viewer.dims.set_point(0, 16)
    click_boxes(dock, qtbot)
    parse(dock, qtbot)
    shapes = filled(viewer, qtbot)
    assert {corner[0] for corners in shapes.data for corner in corners} == {2}
    assert_boxes_lie_on(shapes, only(viewer, Labels))


def test_all_planes_of_a_stack_get_boxes(viewer, dock, qtbot, fluorescence):
    pixels = fluorescence[0][:160, :200]
    viewer.add_image(np.stack([pixels, pixels[::-1], pixels[:, ::-1]]), axis_labels=("z", "y", "x"))
    dock.scope.choose("z")
    click_boxes(dock, qtbot)
    parse(dock, qtbot)
    wait_for_boxes(dock, qtbot)
    assert {corners[0][0] for corners in only(viewer, Shapes).data} == {0, 1, 2}


def test_the_check_box_adds_and_takes_away_without_the_model(viewer, dock, qtbot, fluorescence, monkeypatch):
    viewer.add_image(fluorescence[0])
    parse(dock, qtbot)
    assert not any(isinstance(layer, Shapes) for layer in viewer.layers)
    monkeypatch.setattr(dock._session, "look", lambda *arguments: pytest.fail("the model was run"))
    click_boxes(dock, qtbot)
    count = len(filled(viewer, qtbot).data)
    click_boxes(dock, qtbot)
    assert not any(isinstance(layer, Shapes) for layer in viewer.layers)
    click_boxes(dock, qtbot)
    assert len(filled(viewer, qtbot).data) == count
    assert viewer.layers.index(only(viewer, Shapes)) == viewer.layers.index(only(viewer, Labels)) + 1


def test_boxes_follow_the_settled_threshold(viewer, dock, qtbot, fluorescence):
    viewer.add_image(fluorescence[0])
    click_boxes(dock, qtbot)
    parse(dock, qtbot)
    labels, shapes = only(viewer, Labels), filled(viewer, qtbot)
    shapes.selected_data = {len(shapes.data) - 1}
    before = shapes.features["right"].max() - shapes.features["left"].min()
    area = sum(np.ptp(corners, axis=0).prod() for corners in shapes.data)
    dock.threshold.setValue(0.95)
    wait_for_boxes(dock, qtbot)
    assert only(viewer, Shapes) is shapes
    assert sum(np.ptp(corners, axis=0).prod() for corners in shapes.data) < area
    assert shapes.features["right"].max() - shapes.features["left"].min() <= before
    assert shapes.features["score"].min() > 0.95
    assert_boxes_lie_on(shapes, labels)
    dock.threshold.setValue(1)
    wait_for_boxes(dock, qtbot)
    assert len(shapes.data) == len(shapes.features) == 0
    dock.threshold.setValue(0.5)
    wait_for_boxes(dock, qtbot)
    assert_boxes_lie_on(shapes, labels)


def test_deleted_boxes_stay_away_until_asked_for_again(viewer, dock, qtbot, fluorescence):
    viewer.add_image(fluorescence[0])
    click_boxes(dock, qtbot)
    parse(dock, qtbot)
    viewer.layers.remove(filled(viewer, qtbot))
    dock.threshold.setValue(0.8)
    wait_for_boxes(dock, qtbot)
    assert not any(isinstance(layer, Shapes) for layer in viewer.layers)
    click_boxes(dock, qtbot)
    click_boxes(dock, qtbot)
    assert filled(viewer, qtbot).features["score"].min() > 0.8


def test_boxes_deleted_while_they_are_found_stay_away(viewer, dock, qtbot, fluorescence, gate):
    viewer.add_image(fluorescence[0])
    parse(dock, qtbot)
    click_boxes(dock, qtbot)
    layer = only(viewer, Shapes)
    viewer.layers.remove(layer)
    gate.set()
    wait_for_boxes(dock, qtbot)
    assert len(layer.data) == 0
    assert layer not in viewer.layers


def test_boxes_without_their_labels_are_left_alone(viewer, dock, qtbot, fluorescence):
    viewer.add_image(fluorescence[0])
    click_boxes(dock, qtbot)
    parse(dock, qtbot)
    shapes, labels = filled(viewer, qtbot), only(viewer, Labels)
    # vispy 0.17 crashes on Mesa's software renderer once shapes have been removed from a window without labels.
    viewer.add_labels(np.zeros((5, 5), int))
    viewer.layers.selection.active = shapes
    viewer.layers.remove(labels)
    assert not dock.threshold.isEnabled()
    count = len(shapes.data)
    dock.threshold.setValue(1)
    qtbot.wait(300)
    wait_for_boxes(dock, qtbot)
    assert len(shapes.data) == count
    click_boxes(dock, qtbot)
    assert shapes not in viewer.layers
    click_boxes(dock, qtbot)
    assert not any(isinstance(layer, Shapes) for layer in viewer.layers)


def test_only_the_last_threshold_is_drawn(viewer, dock, qtbot, fluorescence, gate):
    viewer.add_image(fluorescence[0])
    parse(dock, qtbot)
    click_boxes(dock, qtbot)
    shapes = only(viewer, Shapes)
    drawn = []
    shapes.events.features.connect(lambda: drawn.extend(shapes.features.get("score", [])))
    dock.threshold.setValue(0.95)
    qtbot.waitUntil(lambda: not dock._settle_timer.isActive())
    gate.set()
    wait_for_boxes(dock, qtbot)
    qtbot.wait(300)
    assert drawn
    assert min(drawn) > 0.95


def test_a_new_run_leaves_the_last_runs_boxes(viewer, dock, qtbot, fluorescence, histology):
    viewer.add_image(fluorescence[0], name="first")
    click_boxes(dock, qtbot)
    parse(dock, qtbot)
    first = filled(viewer, qtbot)
    count = len(first.data)
    viewer.add_image(histology[0], name="second", rgb=True)
    parse(dock, qtbot)
    wait_for_boxes(dock, qtbot)
    assert [layer.name for layer in viewer.layers if isinstance(layer, Shapes)] == [
        "first · BiomedParse · boxes",
        "second · BiomedParse · boxes",
    ]
    click_boxes(dock, qtbot)
    assert only(viewer, Shapes) is first
    assert len(first.data) == count


def test_closing_the_dock_while_boxes_are_found_is_safe(viewer, qtbot, fluorescence, gate):
    container, dock = viewer.window.add_plugin_dock_widget("napari-biomedparse", "Segment with words")
    viewer.add_image(fluorescence[0])
    parse(dock, qtbot)
    click_boxes(dock, qtbot)
    assert dock.boxes.busy
    viewer.window.remove_dock_widget(container)
    gate.set()
    qtbot.wait(500)
    assert len(only(viewer, Shapes).data) == 0


def two_objects(shape, prompt="nuclei", right=0):
    probability = np.zeros(shape, np.float32)
    probability[3:9, 4 + right : 12 + right], probability[14:20, 2 + right : 9 + right] = 0.9, 0.7
    return ObjectMask(prompt, probability)


def show(viewer, layer, masks):
    result, labels = test_layers.show(viewer, layer, masks)
    boxes = BoxLayer(result)
    boxes.draw(boxes_of(result))
    return labels, boxes.add_to(viewer)


def boxes_of(result):
    return [box for found in find_boxes(result.findings, result.recipe.paint, result.groups) for box in found]


LAYERS = {
    "affine": lambda: Image(np.zeros((24, 32), np.uint8), affine=AFFINE, scale=(2, 1)),
    "tzyx": lambda: Image(np.zeros((2, 3, 24, 32), np.uint16), scale=(1, 2, 0.5, 0.5)),
    "multiscale": lambda: Image([np.zeros((24, 32), np.uint8), np.zeros((12, 16), np.uint8)], multiscale=True),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_boxes_lie_where_the_labels_lie(kind):
    viewer = ViewerModel()
    labels, shapes = show(viewer, viewer.add_layer(LAYERS[kind]()), [two_objects((24, 32))])
    assert len(shapes.data) == 2
    assert_boxes_lie_on(shapes, labels)


def test_boxes_with_other_axes_on_the_screen():
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((24, 7, 32), np.uint8), scale=(1, 2, 3))
    viewer.dims.order = (1, 2, 0)
    viewer.dims.set_point(1, 8)
    labels, shapes = show(viewer, layer, [two_objects((32, 24))])
    assert {corner[1] for corners in shapes.data for corner in corners} == {4}
    assert_boxes_lie_on(shapes, labels, rows=2, columns=0)


def test_boxes_can_be_added_in_3d():
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((4, 24, 32), np.uint8))
    viewer.dims.ndisplay = 3
    viewer.mouse_over_canvas = True
    labels, shapes = show(viewer, layer, [two_objects((24, 32))])
    viewer.layers.selection.active = shapes
    assert_boxes_lie_on(shapes, labels)


def test_each_prompt_has_its_colour_and_rows():
    viewer = ViewerModel()
    prompts = ["nuclei", "flux capacitor"]
    masks = [two_objects((24, 32), prompt, 15 * number) for number, prompt in enumerate(prompts)]
    _, shapes = show(viewer, viewer.add_image(np.zeros((24, 32), np.uint8)), masks)
    features = shapes.features
    assert features["prompt"].tolist() == ["nuclei"] * 2 + ["flux capacitor"] * 2
    assert features["object"].tolist() == ["nucleus"] * 2 + [""] * 2
    assert features["score"].tolist() == pytest.approx([0.9, 0.7] * 2)
    assert features[["top", "left", "bottom", "right"]].to_numpy()[1].tolist() == [14, 2, 20, 9]
    expected = transform_color([colour_of(prompt, n) for n, prompt in enumerate(prompts, start=1)])
    np.testing.assert_allclose(shapes.edge_color[[0, 2]], expected)


@pytest.mark.parametrize(("shape", "size"), [((200, 300), 100), ((1500, 1500), 20)])
def test_edges_are_thin_beside_the_objects_and_the_image(shape, size):
    viewer = ViewerModel()
    probability = np.zeros(shape, np.float32)
    probability[10 : 10 + size, 10 : 10 + size] = 0.9
    _, shapes = show(viewer, viewer.add_image(np.zeros(shape, np.uint8)), [ObjectMask("nuclei", probability)])
    (width,) = shapes.edge_width
    assert 0 < width <= size / 10
    assert width <= max(shape) / 100
