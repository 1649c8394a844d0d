"""What the dock shows and keeps stays true when layers, sliders and results come and go."""

import gc
import weakref

import numpy as np
import pytest
from napari.layers import Labels, Shapes
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QLabel, QLineEdit, QPushButton, QWidget

from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.checkpoint import save_model
from napari_biomedparse.plugin.layers import recipe_of
from napari_biomedparse.weights.own_models import own_model_path
from tests.published import TINY

RUN = 60_000


def find(dock, kind, name):
    widget = dock.findChild(kind, name)
    assert widget is not None, f"there is no {name}"
    return widget


def parse(dock, qtbot, words="nuclei"):
    dock.chips.set_prompts([words])
    qtbot.mouseClick(find(dock, QPushButton, "parse"), Qt.MouseButton.LeftButton)
    wait(dock, qtbot)


def wait(dock, qtbot):
    qtbot.waitUntil(lambda: not find(dock, QPushButton, "cancel").isEnabled() and not dock.boxes.busy, timeout=RUN)


def of_kind(viewer, kind):
    return [layer for layer in viewer.layers if isinstance(layer, kind)]


@pytest.fixture
def cells(viewer, fluorescence):
    return viewer.add_image(fluorescence[0][:128, 60:188], name="cells")


def test_undo_takes_the_boxes_of_its_run_and_leaves_the_others(viewer, dock, qtbot, cells):
    find(dock, QCheckBox, "boxes").setChecked(True)
    parse(dock, qtbot, "nuclei")
    (first,) = of_kind(viewer, Shapes)
    parse(dock, qtbot, "cell nucleus")
    assert len(of_kind(viewer, Shapes)) == 2
    find(dock, QPushButton, "undo").click()
    assert of_kind(viewer, Shapes) == [first]
    find(dock, QCheckBox, "boxes").setChecked(False)
    assert not of_kind(viewer, Shapes)
    find(dock, QCheckBox, "boxes").setChecked(True)
    find(dock, QPushButton, "undo").click()
    assert not of_kind(viewer, Shapes)


def test_what_a_cancelled_run_finished_is_measured_and_has_its_recipe(viewer, dock, qtbot, fluorescence):
    plane = fluorescence[0][:96, 60:156]
    # No two planes are the same, so that none is known from another.
    viewer.add_image(np.stack([np.roll(plane, n, axis=1) for n in range(40)]), name="stack")
    dock.scope.choose("z")
    dock.chips.set_prompts(["nuclei"])
    find(dock, QPushButton, "parse").click()
    qtbot.waitUntil(lambda: bool(of_kind(viewer, Labels)), timeout=RUN)
    find(dock, QPushButton, "cancel").click()
    (labels,) = of_kind(viewer, Labels)
    qtbot.waitUntil(lambda: len(labels.features) > 0, timeout=RUN)
    recipe = recipe_of(labels)
    assert recipe.prompts == ("nuclei",)
    assert recipe.weights
    assert "Cancelled" in find(dock, QLabel, "status").text()
    assert labels.data.any()
    assert not labels.data.reshape(40, -1).any(axis=1).all()


def test_results_are_let_go_with_their_layers(viewer, dock, qtbot, cells):
    parse(dock, qtbot)
    (labels,) = of_kind(viewer, Labels)
    findings = weakref.ref(dock.controller.result.findings)
    viewer.layers.remove(labels)
    del labels
    parse(dock, qtbot)
    for _ in range(3):
        gc.collect()
    assert findings() is None


def test_the_words_of_a_new_result_are_there_to_learn_from(viewer, dock, qtbot, cells):
    shown = dock.finetune.prompt
    parse(dock, qtbot, "nuclei")
    assert shown.text() == "nuclei"
    # What was typed for these labels stays, but not for others.
    shown.clear()
    qtbot.keyClicks(shown, "cells")
    dock.finetune.prefill()
    assert shown.text() == "cells"
    parse(dock, qtbot, "cell nucleus")
    assert shown.text() == "cell nucleus"
    viewer.add_labels(np.ones((128, 128), int), name="drawn")
    assert shown.text() == ""


def test_what_is_chosen_for_a_layer_is_for_that_layer(viewer, dock, qtbot, rng):
    pictures = [viewer.add_image(rng.integers(0, 255, (30, 40, 3), np.uint8), rgb=True) for _ in range(2)]
    stack = viewer.add_image(rng.integers(0, 255, (3, 5, 30, 40), np.uint8))
    channels, axes = find(dock, QComboBox, "channels"), find(dock, QLineEdit, "axes")
    assert axes.text() == "CZYX"
    axes.selectAll()
    qtbot.keyClicks(axes, "ZTYX")
    qtbot.keyClick(axes, Qt.Key.Key_Return)
    viewer.layers.selection.active = pictures[0]
    channels.setCurrentIndex(channels.findText("green, as grey"))
    assert "1 plane of 40 x 30, green alone" in find(dock, QWidget, "estimate").text()
    viewer.layers.selection.active = pictures[1]
    assert channels.currentText() == "colours as they are"
    assert "alone" not in find(dock, QWidget, "estimate").text()
    viewer.layers.selection.active = stack
    assert axes.text() == "ZTYX"
    viewer.layers.selection.active = pictures[0]
    assert channels.currentText() == "green, as grey"


def test_the_estimate_follows_shapes_and_sliders(viewer, dock, qtbot, cells):
    estimate = find(dock, QLabel, "estimate")
    dock.scope.choose("shapes")
    assert "There is no Shapes layer" in estimate.text()
    shapes = viewer.add_shapes([[[0, 0], [0, 20], [10, 20], [10, 0]]], shape_type="rectangle")
    viewer.layers.selection.active = cells
    qtbot.waitUntil(lambda: "1 plane of 21 x 11" in estimate.text(), timeout=5000)
    shapes.add([[0, 0], [0, 50], [40, 50], [40, 0]], shape_type="rectangle")
    shapes.selected_data = {1}
    qtbot.waitUntil(lambda: "1 plane of 51 x 41" in estimate.text(), timeout=5000)


def test_a_model_taught_from_the_published_one_knows_its_kinds_and_words(viewer, dock, qtbot):
    path = own_model_path("tuned")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(BiomedParse(TINY), path)
    dock.models.refill()
    model, modality = find(dock, QComboBox, "model"), find(dock, QComboBox, "modality")
    model.setCurrentIndex(model.findData("tuned"))
    assert modality.findData("CT-Abdomen") > 0
    dock.chips.set_prompts(["mitochondria"])
    told = [label.text() for label in dock.chips.findChildren(QLabel)]
    assert any("“mitochondria” is not a known term" in text for text in told)
    model.setCurrentIndex(model.findData("mini"))
    assert modality.findData("CT-Pelvis") < 0
    told = [label.text() for label in dock.chips.findChildren(QLabel)]
    assert not any("not a known term" in text for text in told)


def test_the_estimate_follows_the_model_whose_input_decides_the_level(viewer, dock, rng):
    fine = rng.integers(0, 255, (2048, 2048), np.uint8)
    viewer.add_image([fine[:: 1 << n, :: 1 << n] for n in range(5)], multiscale=True)
    dock.chips.set_prompts(["liver"])
    estimate, model = find(dock, QLabel, "estimate"), find(dock, QComboBox, "model")
    for name, side in (("mini", 256), ("biomedparse-v1", 1024)):
        model.setCurrentIndex(model.findData(name))
        assert f"1 plane of {side} x {side}" in estimate.text()


def test_a_long_name_does_not_widen_the_dock(viewer, dock, qtbot, cells):
    cells.name = "experiment_20231105_HeLa_DAPI_GFP_60x_series01_position003"
    inner = find(dock, QPushButton, "cancel").parentWidget()
    before = inner.minimumSizeHint().width()
    axes = find(dock, QLineEdit, "axes")
    axes.setText("TZCYX")
    axes.editingFinished.emit()
    assert cells.name in find(dock, QLabel, "estimate").text()
    viewer.add_labels(np.ones((9, 9), int), name=cells.name + " labels")
    dock.finetune.name.setText("mine")
    dock.finetune.prompt.setText("nuclei")
    dock.finetune.start.click()
    assert cells.name in dock.finetune.result.text()
    assert inner.minimumSizeHint().width() == before
