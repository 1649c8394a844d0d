"""The controller without a window: everything runs at once, in this thread."""

import dask.array as da
import numpy as np
import pytest
from napari.layers import Labels

from napari_biomedparse import Recipe, follow
from napari_biomedparse.evaluation.overlap import dice
from napari_biomedparse.plugin import controller as controller_module
from napari_biomedparse.plugin.layers import METADATA_KEY, recipe_of
from napari_biomedparse.plugin.result import Output
from napari_biomedparse.plugin.selecting import Choices
from tests.plugin.directly import SMALL, only


def test_a_run_gives_labels_a_table_and_a_recipe(viewer, control, cells, fluorescence, predictor):
    control.find(cells, ["nuclei"], Choices(), None)
    labels = only(viewer)
    assert dice(labels.data == 1, fluorescence[1][SMALL]) > 0.85
    assert labels.name == "cells · BiomedParse · nuclei"
    assert viewer.layers.index(labels) == viewer.layers.index(cells) + 1
    (row,) = control.rows
    assert (row.prompt, row.state, row.size_unit) == ("nuclei", "found", "µm²")
    assert row.size == pytest.approx((labels.data == 1).sum() * 0.25)
    assert row.presence > 0.05
    assert labels.features["area_um2"].tolist() == [pytest.approx((labels.data == 1).sum() * 0.25)]
    recipe = recipe_of(labels)
    assert recipe.prompts == ("nuclei",)
    assert len(recipe.weights) == 64
    assert (follow(recipe, cells.data, predictor) == labels.data).all()
    assert not control.running
    sentence, refusal = control.notes[-1]
    assert sentence.startswith("Found: nuclei (0.9")
    assert sentence.endswith("s on cpu)")
    assert not refusal


def test_threshold_and_objects_follow_without_the_model(viewer, control, cells, predictor, monkeypatch):
    control.find(cells, ["nuclei", "cytoplasm"], Choices(), None)
    labels = only(viewer)
    monkeypatch.setattr(predictor.model, "decode", lambda *_: pytest.fail("the model was run"))
    before = labels.data > 0
    control.set_paint(threshold=0.9)
    assert ((labels.data > 0) <= before).all()
    assert (labels.data > 0).sum() < before.sum()
    control.set_threshold_of("nuclei", 0.5)
    own = labels.data == 1
    assert own.sum() > 0
    assert control.rows[0].threshold == 0.5
    control.set_threshold_of("nuclei", None)
    assert (labels.data == 1).sum() < own.sum()
    control.set_paint(threshold=0.5, instances=True)
    control.settle()
    count = control.rows[0].count
    assert count > 5
    assert len(np.unique(labels.data[labels.data > 0])) >= count
    assert (labels.features["prompt"] == "nuclei").sum() == count
    middle = int(labels.features["area_px"].median()) + 1
    control.set_paint(min_area=middle)
    control.settle()
    assert 0 < control.rows[0].count < count
    assert labels.features["area_px"].min() >= middle
    shades = {tuple(labels.get_color(value).round(3)) for value in labels.features["index"][:5]}
    assert len(shades) == min(5, control.rows[0].count)
    monkeypatch.undo()
    assert (follow(recipe_of(labels), cells.data, predictor) == labels.data).all()


def test_recognize_lists_what_was_not_found_too(viewer, control, cells, predictor):
    control.find(cells, [], Choices(), None)
    states = {row.prompt: row.state for row in control.rows}
    name = "Fluorescence Microscopy-Cell"
    assert set(states) == set(predictor.table.lists[name])
    assert "found" in states.values()
    assert all(row.reason for row in control.rows)
    assert name in control.notes[-1][0]
    assert "guessed" in control.notes[-1][0]
    assert control.paint.presence == 0.05
    control.set_paint(presence=1.0)
    assert {row.state for row in control.rows} == {"not found"}
    assert not only(viewer).data.any()


def test_all_z_begins_at_the_shown_plane_and_links_objects(viewer, control, fluorescence, predictor):
    plane = fluorescence[0][SMALL]
    stack = viewer.add_image(np.stack([plane] * 4), name="stack", axis_labels=("z", "y", "x"))
    viewer.dims.set_point(0, 2)
    control.set_paint(instances=True)
    seen = []
    original = control._on_event
    control._on_event = lambda result, event: (seen.append(event), original(result, event))
    control.find(stack, ["nuclei"], Choices("z"), None)
    painted = [event.place for event in seen if hasattr(event, "place")]
    assert painted[:4] == [(2,), (1,), (3,), (0,)]
    labels = only(viewer)
    assert labels.data[0].max() > 5
    assert all((labels.data[0] == labels.data[n]).all() for n in (1, 2, 3))
    (row,) = control.rows
    assert row.count == labels.data[0].max()
    assert row.size_unit == "voxels"
    assert len(labels.features) == row.count
    assert (follow(recipe_of(labels), stack.data, predictor) == labels.data).all()
    control.set_output(Output(link=False))
    assert labels.data.max() == 4 * row.count


def test_a_large_plane_is_painted_while_it_is_parsed_from_the_middle_of_the_view(
    viewer, control, fluorescence, predictor, monkeypatch, now
):
    monkeypatch.setattr(controller_module, "PREVIEW", 0)
    image = viewer.add_image(np.tile(fluorescence[0], (2, 2)))
    image.corner_pixels = np.array([[600, 800], [766, 1024]])
    now.held = True
    control.find(image, ["nuclei"], Choices(), None)
    while not any(isinstance(layer, Labels) and layer.data.any() for layer in viewer.layers):
        control._run.go_on(1)
    labels = only(viewer)
    found = np.argwhere(labels.data)
    assert found.min(axis=0)[0] > 300, "the far side has not been looked at yet"
    control._run.go_on()
    assert (follow(recipe_of(labels), image.data, predictor) == labels.data).all()
    assert np.argwhere(labels.data).min() < 10


def test_one_layer_per_object_lets_objects_overlap(viewer, control, cells):
    control.set_output(Output(one_layer_each=True, palette="colour-blind"))
    control.find(cells, ["nuclei", "cell nuclei"], Choices(), None)
    layers = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    assert sorted(layer.name.rpartition("· ")[2] for layer in layers) == ["cell nuclei", "nuclei"]
    assert all(np.unique(layer.data).tolist() == [0, 1] for layer in layers)
    both = (layers[0].data > 0) & (layers[1].data > 0)
    assert both.any()
    control.undo()
    assert not [layer for layer in viewer.layers if isinstance(layer, Labels)]


def test_hidden_reviewed_and_undone(viewer, control, cells):
    control.find(cells, ["nuclei"], Choices(), None)
    first = only(viewer)
    control.set_visible("nuclei", False)
    assert first.get_color(1)[3] == 0
    control.set_visible("nuclei", True)
    assert first.get_color(1)[3] == 1
    control.review("nuclei", "accepted")
    assert first.features["review"].tolist() == ["accepted"]
    assert first.metadata[METADATA_KEY]["review"] == {"nuclei": "accepted"}
    control.find(cells, ["cell"], Choices(), None)
    assert control.rows[0].prompt == "cell"
    control.undo()
    assert control.rows[0].prompt == "nuclei"
    assert only(viewer) is first
    control.undo()
    assert control.rows == []
    control.undo()
    assert control.notes[-1] == ("There is no run to undo.", True)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda viewer, layer: viewer.layers.remove(layer), "was deleted"),
        (lambda viewer, layer: setattr(layer, "data", layer.data[:9, :9]), "were changed"),
    ],
)
def test_what_happens_to_the_image_while_it_is_parsed(viewer, control, cells, now, spoil, sentence):
    now.held = True
    control.find(cells, ["nuclei"], Choices(), None)
    job = control._run
    job.go_on(1)
    assert control.running
    cells.name = "renamed"
    spoil(viewer, cells)
    assert not control.running
    assert sentence in control.notes[-1][0]
    job.go_on()
    assert not [layer for layer in viewer.layers if isinstance(layer, Labels)]
    now.held, now.jobs = False, []
    fresh = viewer.add_image(np.zeros((40, 40), np.uint8))
    control.find(fresh, ["nuclei"], Choices(), None)
    assert only(viewer).data.shape == (40, 40)


def test_cancel_drops_late_results(viewer, control, cells, now):
    now.held = True
    control.find(cells, ["nuclei"], Choices(), None)
    job = control._run
    job.go_on(1)
    control.find(cells, ["cell"], Choices(), None)
    assert control._run is job, "one run at a time"
    control.cancel()
    assert control.notes[-1] == ("Cancelled.", False)
    job.go_on()
    assert not [layer for layer in viewer.layers if isinstance(layer, Labels)]


def test_settings_changed_during_a_run_hold_at_its_end(viewer, control, fluorescence, now):
    stack = viewer.add_image(np.stack([fluorescence[0][SMALL]] * 2), axis_labels=("z", "y", "x"))
    now.held = True
    control.find(stack, ["nuclei"], Choices("z"), None)
    control._run.go_on(4)
    now.held = False
    assert control.result is not None, "the first plane is there"
    control.set_paint(instances=True)
    now.go_on()
    labels = only(viewer)
    assert labels.data[0].max() == labels.data[1].max() > 5
    assert control.rows[0].count == labels.data.max()


def test_a_setting_changed_and_changed_back_during_a_run_leaves_no_trace(viewer, control, fluorescence, now):
    stack = viewer.add_image(np.stack([fluorescence[0][SMALL]] * 2), axis_labels=("z", "y", "x"))
    control.find(stack, ["nuclei"], Choices("z"), None)
    expected = np.asarray(only(viewer).data).copy()
    control.undo()
    now.held = True
    control.find(stack, ["nuclei"], Choices("z"), None)
    while control.result is None:
        control._run.go_on(1)
    control.set_paint(threshold=0.9)
    while len(control.result.painted) < 2:
        control._run.go_on(1)
    control.set_paint(threshold=0.5)
    assert (only(viewer).data != expected).any(), "a plane has the threshold that was there meanwhile"
    now.held = False
    now.go_on()
    assert (only(viewer).data == expected).all()


def test_shapes_and_region(viewer, control, cells):
    shapes = viewer.add_shapes(
        [np.array([[0, 20], [0, 140], [120, 140], [120, 20]])], shape_type="ellipse", scale=(0.5, 0.5)
    )
    control.find(cells, ["nuclei"], Choices("shapes"), None)
    labels = only(viewer)
    assert labels.data.shape == cells.data.shape
    found = np.argwhere(labels.data)
    assert len(found) > 100
    assert (np.linalg.norm(found - (60, 80), axis=1) <= 61).all()
    assert np.linalg.norm(found - (60, 80), axis=1).max() > 55
    viewer.layers.remove(shapes)
    control.find(cells, ["nuclei"], Choices("shapes"), None)
    assert "There is no Shapes layer" in control.notes[-1][0]


def test_channels_and_frames_of_a_five_dimensional_image(viewer, control, fluorescence, predictor):
    plane = fluorescence[0][SMALL]
    data = np.zeros((2, 2, 3, *plane.shape), plane.dtype)
    data[1, 1, 2] = plane
    image = viewer.add_image(data, axis_labels=("t", "c", "z", "y", "x"))
    viewer.dims.set_point((0, 1, 2), (1, 1, 2))
    control.find(image, ["nuclei"], Choices(), None)
    labels = only(viewer)
    assert labels.data.shape == data.shape
    assert (labels.data[1, 0, 2] == labels.data[1, 1, 2]).all(), "channels share their labels"
    assert labels.data[1, 1, 2].any()
    assert not labels.data[0].any()
    assert (follow(recipe_of(labels), data, predictor) == labels.data).all()
    control.undo()
    control.find(image, ["nuclei"], Choices(mixed=True), None)
    recipe = recipe_of(only(viewer))
    assert [channel.index for channel in recipe.selection.channels] == [0, 1]


def test_lazy_data_is_read_only_where_it_is_asked_for(viewer, control):
    read = []

    def block(block_info=None):
        read.append(block_info[None]["chunk-location"])
        return np.ones((1, 24, 32), np.uint8)

    data = da.map_blocks(block, chunks=((1,) * 6, (24,), (32,)), dtype=np.uint8, meta=np.zeros((0, 0, 0), np.uint8))
    image = viewer.add_image(data, contrast_limits=(0, 1))
    viewer.dims.set_point(0, 3)
    read.clear()
    control.find(image, ["nuclei"], Choices(), None)
    assert set(read) == {(3, 0, 0)}


def test_organs_are_looked_for_on_a_coarse_level(viewer, control, rng):
    fine = rng.integers(0, 255, (2048, 1536), dtype=np.uint8)
    image = viewer.add_image([fine, fine[::2, ::2], fine[::4, ::4]], multiscale=True, scale=(2, 3), translate=(5, 7))
    control.find(image, ["liver"], Choices(), None)
    labels = only(viewer)
    assert labels.data.shape == (512, 384)
    # The outer corners of both lie on each other.
    for corner, pixel in ((-0.5, np.array([-0.5, -0.5])), (None, np.array([2047.5, 1535.5]))):
        mine = np.array([-0.5, -0.5]) if corner else np.array([511.5, 383.5])
        np.testing.assert_allclose(labels.data_to_world(mine), image.data_to_world(pixel))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (np.zeros((8, 8), bool), "boolean"),
        (np.zeros((8, 8)), "64-bit"),
        (np.full((8, 8), np.nan, np.float32), "NaN or infinite"),
    ],
)
def test_what_cannot_be_parsed_is_refused_by_name(viewer, control, data, sentence):
    image = viewer.add_image(data, name="odd one", contrast_limits=(0, 1))
    control.find(image, ["nuclei"], Choices(), None)
    assert control.notes[-1][1]
    assert sentence in control.notes[-1][0]
    assert control.notes[-1][0].startswith("odd one")
    assert not control.running


def test_a_recipe_runs_again_on_another_image(viewer, control, cells, fluorescence):
    control.set_paint(threshold=0.7)
    control.find(cells, ["nuclei"], Choices(), None)
    recipe = Recipe.from_json(recipe_of(only(viewer)).as_json())
    control.set_paint(threshold=0.2)
    other = viewer.add_image(fluorescence[0][:100, :100], name="other")
    control.again(other, recipe)
    assert control.result.image is other
    assert control.paint.threshold == 0.7
    rgb = viewer.add_image(np.zeros((9, 9, 3), np.uint8), rgb=True, name="colours")
    control.again(rgb, recipe)
    assert "colours has the shape" in control.notes[-1][0]
