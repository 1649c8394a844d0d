"""Every control of the dock, in a real napari window."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QApplication,
    QFileDialog,
    QScrollArea,
    QWidget,
)

from napari_biomedparse import Recipe, follow
from napari_biomedparse.plugin.layers import METADATA_KEY, recipe_of
from tests.plugin.docks import KINDS, RUN, click, find, only, parse, wait


@pytest.fixture
def small(fluorescence):
    return np.ascontiguousarray(fluorescence[0][:160, :200])


def test_every_control_has_a_name_and_a_description(dock):
    for name in KINDS:
        assert find(dock, name).accessibleName(), name
        assert find(dock, name).toolTip(), name


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_is_cut_off_at_300_pixels(viewer, dock, qtbot, theme):
    viewer.theme = theme
    dock.chips.set_prompts(["nuclleft heart ventricle", "W" * 40, "anterior part of the hippocampus"])
    dock.controller.refuse("There is no file " + "W" * 80)
    qtbot.wait(50)
    assert "W" * 80 in dock.status.text()
    scroll = dock.findChild(QScrollArea)
    inner = scroll.widget().minimumSizeHint().width()
    assert inner + scroll.verticalScrollBar().sizeHint().width() <= 300


def test_all_controls_are_reached_with_tab(viewer, dock, qtbot, small):
    viewer.add_image(small)
    parse(dock, qtbot)
    find(dock, "instances").setChecked(True)
    for name in set(KINDS) - {"progress", "status", "cancel"}:
        widget = find(dock, name)
        parts = [widget, *widget.findChildren(QWidget)]
        assert any(part.focusPolicy() & Qt.FocusPolicy.TabFocus and part.isEnabled() for part in parts), name


def test_the_keyboard_alone_parses_and_reviews(viewer, dock, qtbot, small):
    viewer.add_image(small)
    line = find(dock, "prompt")
    line.setFocus()
    qtbot.keyClicks(line, "nuclei")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    wait(dock, qtbot)
    table = find(dock, "results")
    assert table.model().rowCount() == 1
    table.setFocus()
    qtbot.keyClick(table, Qt.Key.Key_N)
    qtbot.keyClick(table, Qt.Key.Key_A)
    assert only(viewer).features["review"].tolist() == ["accepted"]
    qtbot.keyClick(table, Qt.Key.Key_Space)
    assert only(viewer).get_color(1)[3] == 0


def test_recognize_all_guesses_the_kind_of_image(viewer, dock, qtbot, small):
    viewer.add_image(small)
    click(dock, qtbot, "recognize")
    wait(dock, qtbot)
    assert "Fluorescence Microscopy-Cell (guessed)" in find(dock, "status").text()
    assert find(dock, "results").model().rowCount() >= 1
    assert (only(viewer).data > 0).any()


def test_the_modality_can_be_chosen(viewer, dock, qtbot, small):
    modality = find(dock, "modality")
    assert modality.itemText(0) == "Auto"
    modality.setCurrentText("X-Ray-Chest")
    viewer.add_image(small)
    click(dock, qtbot, "recognize")
    wait(dock, qtbot)
    names = {row.prompt for row in dock.controller.rows}
    assert any("lung" in name for name in names)
    assert "guessed" not in find(dock, "status").text()


def test_a_threshold_of_its_own_from_the_table(viewer, dock, qtbot, small):
    viewer.add_image(small)
    parse(dock, qtbot)
    before = (only(viewer).data > 0).sum()
    dock.results.threshold_changed.emit("nuclei", 0.95)
    assert (only(viewer).data > 0).sum() < before
    assert recipe_of(only(viewer)).paint.thresholds in ({}, {"nuclei": 0.95})
    qtbot.waitUntil(lambda: recipe_of(only(viewer)).paint.thresholds == {"nuclei": 0.95}, timeout=RUN)


def test_separate_objects_with_a_preview(viewer, dock, qtbot, small):
    viewer.add_image(small)
    parse(dock, qtbot)
    find(dock, "instances").setChecked(True)
    qtbot.waitUntil(lambda: len(only(viewer).features) > 1, timeout=RUN)
    many = len(only(viewer).features)
    assert many == only(viewer).data.max()
    dock.objects.min_area.setValue(600)
    qtbot.waitUntil(lambda: len(only(viewer).features) < many, timeout=RUN)


def test_measure_fills_the_table_and_shows_it(viewer, dock, qtbot, small):
    viewer.add_image(small, name="cells", scale=(0.5, 0.5), units=("um", "um"))
    find(dock, "instances").setChecked(True)
    parse(dock, qtbot)
    click(dock, qtbot, "measure")
    wait(dock, qtbot)
    features = only(viewer).features
    wanted = {"area_um2", "eccentricity", "solidity", "box_ratio", "convex_ratio", "inverse_rotational_inertia"}
    assert wanted | {"intensity_channel_0_mean", "mean_probability"} <= set(features)
    first = features.iloc[0]
    inside = only(viewer).data == first["index"]
    assert first["area_px"] == inside.sum()
    assert first["intensity_channel_0_mean"] == pytest.approx(small[inside].mean(), abs=1e-3)
    assert any("Features table" in name for name in viewer.window.dock_widgets)
    # A control that comes to rest late finds nothing to paint again.
    dock._settle_timer.start()
    qtbot.wait(1500)
    assert wanted <= set(only(viewer).features)


def test_a_change_that_is_taken_back_at_once_leaves_what_there_was(viewer, dock, qtbot, small):
    viewer.add_image(small, name="cells")
    find(dock, "instances").setChecked(True)
    parse(dock, qtbot)
    qtbot.waitUntil(lambda: not dock._settle_timer.isActive() and dock.controller._repainting._job is None)
    before = only(viewer).data.copy()
    assert before.max() > 1
    find(dock, "instances").setChecked(False)
    assert only(viewer).data.max() == 1
    find(dock, "instances").setChecked(True)
    qtbot.waitUntil(lambda: np.array_equal(only(viewer).data, before), timeout=RUN)


@pytest.mark.parametrize("ending", [".ome.tif", ".csv", ".geojson", ".json", ".ome.zarr"])
def test_export_writes_what_the_dialog_names_and_nothing_over(
    viewer, dock, qtbot, small, tmp_path, monkeypatch, ending
):
    viewer.add_image(small)
    parse(dock, qtbot)
    path = tmp_path / f"result{ending}"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    click(dock, qtbot, "export")
    wait(dock, qtbot)
    assert path.exists()
    assert str(path) in find(dock, "status").text()
    if ending == ".ome.tif":
        assert (tifffile.imread(path) == only(viewer).data).all()
    # Without an answer of the dialog's, what is there stays.
    dock.actions.export_to(path)
    wait(dock, qtbot)
    assert "already" in find(dock, "status").text()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("", ""))
    click(dock, qtbot, "export")
    assert not dock.actions.busy


def test_script_and_command_give_the_same_labels(viewer, dock, qtbot, small, predictor):
    viewer.add_image(small)
    find(dock, "threshold").setValue(0.6)
    parse(dock, qtbot)
    click(dock, qtbot, "copy_script")
    script = QApplication.clipboard().text()
    recipe = Recipe.from_json(script.split('r"""')[1].split('"""')[0])
    assert recipe.paint.threshold == 0.6
    assert recipe.weights
    assert (follow(recipe, small, predictor) == only(viewer).data).all()
    compile(script, "script", "exec")
    click(dock, qtbot, "copy_command")
    command = QApplication.clipboard().text()
    assert command.startswith("napari-biomedparse replay ")
    assert recipe.as_json() in command


def test_the_script_of_a_sample_names_its_file(viewer, dock, qtbot, tmp_path, monkeypatch):
    viewer.open_sample("napari-biomedparse", "fluorescent_nuclei")
    parse(dock, qtbot)
    click(dock, qtbot, "copy_script")
    monkeypatch.chdir(tmp_path)
    exec(compile(QApplication.clipboard().text(), "script", "exec"), {})
    assert (tifffile.imread(tmp_path / "labels.tif") == only(viewer).data).all()


def test_run_again_and_undo(viewer, dock, qtbot, small):
    image = viewer.add_image(small)
    parse(dock, qtbot)
    first = only(viewer)
    viewer.layers.selection.active = first
    click(dock, qtbot, "run_again")
    wait(dock, qtbot)
    layers = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    assert len(layers) == 2
    assert (layers[0].data == layers[1].data).all()
    assert not first.visible, "the earlier result makes room"
    click(dock, qtbot, "undo")
    assert only(viewer) is first
    assert first.visible
    viewer.layers.selection.active = image
    click(dock, qtbot, "run_again")
    assert "Select a labels layer" in find(dock, "status").text()


def test_settings_are_there_again_the_next_time(viewer, dock, qtbot, small):
    find(dock, "scope").setCurrentText("Visible region")
    find(dock, "instances").setChecked(True)
    find(dock, "threshold").setValue(0.35)
    viewer.add_image(small)
    parse(dock, qtbot, "nuclei, cell")
    viewer.window.remove_dock_widget(dock)
    _, again = viewer.window.add_plugin_dock_widget("napari-biomedparse", "Segment with words")
    assert find(again, "scope").currentText() == "Visible region"
    assert find(again, "instances").isChecked()
    assert find(again, "threshold").value() == pytest.approx(0.35)
    assert again.chips.history[0] == ["nuclei", "cell"]


def test_the_visible_region_is_parsed_alone(viewer, dock, qtbot, fluorescence):
    viewer.add_image(np.tile(fluorescence[0], (2, 2)))
    viewer.camera.zoom = 6
    viewer.camera.center = (200, 250)
    qtbot.wait(300)
    find(dock, "scope").setCurrentText("Visible region")
    parse(dock, qtbot)
    found = np.argwhere(only(viewer).data)
    region = recipe_of(only(viewer)).selection.region
    assert len(found)
    assert region[2] - region[0] < 300
    assert (found >= region[:2]).all()
    assert (found < region[2:]).all()


def test_what_the_model_sees_and_how_axes_are_read(viewer, dock, qtbot, small):
    viewer.add_image(np.stack([small] * 6), name="stack")
    reading = dock.reading
    assert reading.axes.text() == "ZYX"
    assert "guessed" in find(dock, "estimate").text()
    dock._reading_section.expand()
    qtbot.waitUntil(lambda: not reading.thumbnail.pixmap().isNull(), timeout=RUN)
    reading.axes.setText("tyx")
    reading.axes.editingFinished.emit()
    find(dock, "scope").setCurrentText("All time points")
    assert find(dock, "estimate").text().startswith("6 planes")
    reading.axes.setText("ZZ")
    reading.axes.editingFinished.emit()
    click(dock, qtbot, "parse")
    find(dock, "prompt").setText("nuclei")
    click(dock, qtbot, "parse")
    assert "axis" in find(dock, "status").text().lower() or "axes" in find(dock, "status").text().lower()


def test_the_diameter_of_cells_can_be_given(viewer, dock, qtbot, small, predictor):
    viewer.add_image(small, name="cells")
    dock._reading_section.expand()
    diameter = find(dock, "diameter")
    assert diameter.text() == "measured"
    diameter.setValue(50)
    parse(dock, qtbot)
    layer = only(viewer)
    recipe = recipe_of(layer)
    assert recipe.diameter == 50
    assert layer.metadata[METADATA_KEY]["tiles"]["sized nucleus"]["zoom"] == 1
    assert (follow(recipe, small, predictor) == layer.data).all()
    assert (follow(replace(recipe, diameter=None), small, predictor) != layer.data).any()
    diameter.setValue(0)
    assert diameter.text() == "measured"
    parse(dock, qtbot)
    image = predictor.encode(small, scales=())
    predictor.segment(image, ["nuclei"])
    assert diameter.text() == f"about {image.diameter:.0f} px"
    viewer.layers.clear()
    assert diameter.text() == "measured"


def test_escape_cancels(viewer, dock, qtbot, fluorescence):
    viewer.add_image(np.tile(fluorescence[0], (3, 3)))
    find(dock, "prompt").setText("nuclei")
    click(dock, qtbot, "parse")
    assert find(dock, "cancel").isEnabled()
    dock.window().activateWindow()
    find(dock, "prompt").setFocus()
    qtbot.waitUntil(find(dock, "prompt").hasFocus)
    qtbot.keyClick(find(dock, "prompt"), Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not dock.controller.running, timeout=5000)
    assert "Cancelled" in find(dock, "status").text()


def test_the_recipe_lies_in_the_layer(viewer, dock, qtbot, small):
    viewer.add_image(small, name="cells")
    parse(dock, qtbot)
    about = only(viewer).metadata[METADATA_KEY]
    recipe = json.loads(about["recipe"])
    assert recipe["prompts"] == ["nuclei"]
    assert about["names"] == {1: "nuclei"}
    assert about["modality"] == "Fluorescence Microscopy-Cell"
    cut = about["tiles"]["sized nucleus"]
    assert cut["zoom"] > 1
    side, step = cut["height"], cut["height"] - cut["overlap"]
    rows, columns = (1 + max(0, -(-(length - side) // step)) for length in small.shape)
    assert cut["count"] == rows * columns
