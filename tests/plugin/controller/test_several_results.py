"""Results one after another: whose settings hold, what is undone, what was drawn by hand."""

import numpy as np
from napari.layers import Labels

from napari_biomedparse import follow
from napari_biomedparse.plugin.layers import recipe_of
from napari_biomedparse.plugin.result import Output
from napari_biomedparse.plugin.selecting import Choices
from tests.plugin.directly import SMALL, only


def test_a_setting_changed_before_a_second_run_shows_anything_is_meant_for_that_run(viewer, control, cells, now):
    control.find(cells, ["nuclei"], Choices(), None)
    first = only(viewer)
    before = first.data.copy()
    now.held = True
    control.find(cells, ["cell"], Choices(), None)
    control.set_paint(instances=True, threshold=0.8)
    control.settle()
    assert (first.data == before).all()
    now.held = False
    now.go_on()
    second = [layer for layer in viewer.layers if isinstance(layer, Labels)][-1]
    assert second is not first
    assert (first.data == before).all()
    assert recipe_of(first).paint.threshold == 0.5
    assert recipe_of(second).paint.instances
    assert recipe_of(second).paint.threshold == 0.8
    assert second.data.dtype == np.int32


def test_undo_before_anything_is_shown_only_takes_that_run_back(viewer, control, cells, now):
    control.find(cells, ["nuclei"], Choices(), None)
    now.held = True
    control.find(cells, ["cell"], Choices(), None)
    control.undo()
    assert not control.running
    assert only(viewer).data.any()
    assert control.notes[-1] == ("Cancelled.", False)


def test_a_result_that_is_left_before_it_is_settled_is_settled_all_the_same(viewer, control, fluorescence, now):
    plane = fluorescence[0][SMALL]
    stack = viewer.add_image(np.stack([plane, plane[::-1]]), name="stack", axis_labels=("z", "y", "x"))
    control.find(stack, ["nuclei"], Choices("z"), None)
    first = only(viewer)
    control.set_paint(threshold=0.9)
    control.find(stack, ["cell"], Choices(), None)
    now.go_on()
    wanted = follow(recipe_of(first), stack.data)
    assert recipe_of(first).paint.threshold == 0.9
    assert (first.data == wanted).all()


def test_settings_are_those_of_the_result_that_is_the_latest(viewer, control, cells):
    control.find(cells, ["nuclei", "cytoplasm"], Choices(), None)
    control.set_threshold_of("nuclei", 0.9)
    control.settle()
    known = control.paint
    control.find(cells, ["nuclei"], Choices(), None)
    control.set_paint(threshold=0.2, min_area=50)
    control.settle()
    control.undo()
    assert control.paint == known == recipe_of(only(viewer)).paint
    control.set_paint(presence=0.01)
    assert control.result.recipe.paint.thresholds == {"nuclei": 0.9}


def test_what_was_drawn_by_hand_is_kept_beside_labels_that_are_painted_anew(viewer, control, cells):
    control.set_paint(instances=True)
    control.find(cells, ["nuclei"], Choices(), None)
    labels = only(viewer)
    new = int(labels.data.max()) + 1
    labels.paint((5, 5), new)
    drawn = labels.data.copy()
    assert (drawn == new).any()
    control.set_paint(threshold=0.51)
    control.settle()
    assert not (labels.data == new).any()
    kept = viewer.layers[f"{labels.name} (edited)"]
    assert (kept.data == drawn).all()
    assert not kept.visible
    assert viewer.layers.selection.active is labels
    assert (f"What you drew is kept in the hidden layer {kept.name}.", True) in control.notes
    # Nothing was drawn since.
    control.set_paint(threshold=0.52)
    control.settle()
    assert sum("edited" in layer.name for layer in viewer.layers) == 1


def test_each_layer_of_its_own_has_the_rows_of_its_own_labels(viewer, control, cells):
    control.set_output(Output(one_layer_each=True))
    control.set_paint(instances=True)
    control.find(cells, ["nuclei", "cell nuclei"], Choices(), None)
    for layer in viewer.layers[1:]:
        assert layer.features["index"].tolist() == np.unique(layer.data)[1:].tolist()
        assert layer.features["area_px"].tolist() == np.bincount(layer.data.ravel())[1:].tolist()


def test_a_run_whose_labels_are_deleted_stops(viewer, control, fluorescence, now):
    plane = fluorescence[0][SMALL]
    stack = viewer.add_image(np.stack([plane, plane[::-1], plane]), name="stack", axis_labels=("z", "y", "x"))
    now.held = True
    control.find(stack, ["nuclei"], Choices("z"), None)
    while not any(isinstance(layer, Labels) for layer in viewer.layers):
        now.jobs[0].go_on(1)
    viewer.layers.remove(only(viewer))
    assert not control.running
    assert ("Stopped: the labels were deleted while the image was parsed.", False) in control.notes


def test_a_copy_that_napari_made_of_the_labels_keeps_its_recipe(viewer, control, cells):
    control.find(cells, ["nuclei"], Choices(), None)
    labels = only(viewer)
    data, state, kind = labels.as_layer_data_tuple()
    copy = viewer._add_layer_from_data(data.copy(), state | {"name": "copy"}, kind)[0]
    control.set_paint(threshold=0.9)
    control.settle()
    assert recipe_of(labels).paint.threshold == 0.9
    assert recipe_of(copy).paint.threshold == 0.5


def test_a_shape_beside_the_image_is_refused_in_a_sentence(viewer, control, cells):
    viewer.add_shapes([[[400, 400], [400, 450], [450, 450]]], shape_type="polygon")
    control.find(cells, ["nuclei"], Choices("shapes"), None)
    assert not control.running
    assert control.notes[-1][1]
    assert "outside of the image" in control.notes[-1][0]
