"""The dock's controls and its results, in a real napari window."""

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtWidgets import (
    QComboBox,
)

from napari_biomedparse.plugin.dock import ParseDock
from napari_biomedparse.plugin.layers import recipe_of
from tests.plugin.docks import RUN, click, find, only, parse, wait


@pytest.fixture
def small(fluorescence):
    return np.ascontiguousarray(fluorescence[0][:160, :200])


def test_a_ct_is_shown_in_the_window_of_soft_tissue_until_another_is_chosen(viewer, dock):
    values = dock.findChild(QComboBox, "window")
    scan = np.linspace(-1024, 3071, 64 * 64).reshape(64, 64).astype(np.int16)
    viewer.add_image(scan, name="scan")
    assert values.currentText() == "CT abdomen (-150 to 250)"
    assert dock.reading.window_chosen == (-150, 250)
    viewer.add_image((scan + 1024).astype(np.uint16), name="cells")
    assert dock.reading.window_chosen is None
    viewer.layers.selection.active = viewer.layers["scan"]
    assert dock.reading.window_chosen == (-150, 250)
    values.setCurrentIndex(values.findText("CT lung (-1000 to 1000)"))
    viewer.layers.selection.active = viewer.layers["cells"]
    viewer.layers.selection.active = viewer.layers["scan"]
    assert dock.reading.window_chosen == (-1000, 1000)


def test_the_window_of_a_ct_follows_its_site(viewer, dock):
    kinds = dock.findChild(QComboBox, "modality")
    kinds.addItem("CT-Chest", "CT-Chest")
    scan = np.linspace(-1024, 3071, 64 * 64).reshape(64, 64).astype(np.int16)
    viewer.add_image(scan, name="scan")
    kinds.setCurrentIndex(kinds.findData("CT-Chest"))
    assert dock.reading.window_chosen == (-1000, 1000)
    viewer.add_image((scan + 1024).astype(np.uint16), name="cells")
    assert dock.reading.window_chosen is None
    kinds.setCurrentIndex(0)
    viewer.layers.selection.active = viewer.layers["scan"]
    assert dock.reading.window_chosen == (-150, 250)


def test_what_is_measured_is_the_layer_that_is_selected(viewer, dock, qtbot, small):
    viewer.add_image(small, name="one")
    parse(dock, qtbot)
    viewer.add_image(small[::-1], name="two")
    parse(dock, qtbot)
    first, second = (layer for layer in viewer.layers if isinstance(layer, Labels))
    viewer.layers.selection.active = first
    click(dock, qtbot, "measure")
    wait(dock, qtbot)
    assert "solidity" in first.features
    assert "solidity" not in second.features
    assert viewer.layers.selection.active is first


def test_labels_deleted_while_they_are_measured_are_told_about(viewer, dock, qtbot, small):
    viewer.add_image(small)
    parse(dock, qtbot)
    dock.actions.measure()
    viewer.layers.remove(only(viewer))
    wait(dock, qtbot)
    assert "were deleted while they were measured" in find(dock, "status").text()


def test_the_controls_show_how_the_latest_result_was_painted(viewer, dock, qtbot, small):
    viewer.add_image(small)
    find(dock, "instances").setChecked(True)
    dock.objects.min_area.setValue(30)
    parse(dock, qtbot)
    find(dock, "threshold").setValue(0.7)
    find(dock, "instances").setChecked(False)
    dock.looks.rule.setCurrentIndex(1)
    parse(dock, qtbot, "cell")
    dock.objects.min_area.setValue(90)
    find(dock, "instances").setChecked(True)
    find(dock, "threshold").setValue(0.3)
    dock.looks.rule.setCurrentIndex(2)
    click(dock, qtbot, "undo")
    paint = recipe_of(only(viewer)).paint
    assert (paint.threshold, paint.instances, paint.min_area, paint.rule) == (0.7, False, 30, "first")
    assert find(dock, "threshold").value() == 0.7
    assert not find(dock, "instances").isChecked()
    assert dock.objects.min_area.value() == 30
    assert dock.looks.rule.currentData() == "first"


def test_a_dock_that_is_taken_out_while_it_exports_completes_the_file_and_says_nothing(
    viewer, dock, qtbot, small, tmp_path
):
    viewer.add_image(small)
    parse(dock, qtbot)
    said = []
    dock.actions.said.connect(lambda sentence, _refusal: said.append(sentence))
    dock.actions.export_to(tmp_path / "labels.ome.tif")
    dock._leave()
    qtbot.waitUntil((tmp_path / "labels.ome.tif").exists, timeout=RUN)
    qtbot.wait(200)
    assert said == ["Working …"]
    assert not dock.actions.busy


def test_a_dock_in_another_window_leaves_the_choice_of_model_alone(viewer, dock, tmp_path, make_napari_viewer):
    other = make_napari_viewer()
    dock.models.choose("mini", "cpu")
    dock._change_model()
    another = ParseDock(other)
    another._session.use("biomedparse-v1", "auto")
    assert (dock._session.model, dock._session.device) == ("mini", "cpu")
    another._leave()


def test_boxes_of_layers_of_their_own_are_those_of_each_layer(viewer, dock, qtbot, small):
    viewer.add_image(small)
    dock.looks.one_layer_each.setChecked(True)
    find(dock, "instances").setChecked(True)
    dock.boxes.setChecked(True)
    parse(dock, qtbot, "nuclei, cell nuclei")
    qtbot.waitUntil(lambda: not dock.boxes.busy, timeout=RUN)
    layers = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    (shapes,) = (layer for layer in viewer.layers if layer.name.endswith("boxes"))
    assert len(layers) == 2
    assert len(shapes.features) == sum(int(layer.data.max()) for layer in layers)
