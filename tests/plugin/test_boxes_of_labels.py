"""Boxes are those of the objects that the labels show."""

import numpy as np
import pytest
from napari.components import ViewerModel
from skimage.measure import regionprops

from napari_biomedparse import ObjectMask
from napari_biomedparse.engine.follow import Findings, Seen, look
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.recipe import Recipe
from napari_biomedparse.plugin.painting import paint_plane_of
from napari_biomedparse.plugin.planning import stack_of
from napari_biomedparse.plugin.result import Result
from napari_biomedparse.plugin.selecting import Choices
from tests.plugin.test_boxes import FEATURES, boxes_of, show


@pytest.fixture
def find(fluorescence, predictor):
    """Return the result for some prompts on a part of real nuclei, of which a triangle may be outlined."""

    def found(prompts, paint, outlined=False, one_layer_each=False):
        viewer = ViewerModel()
        layer = viewer.add_image(fluorescence[0][:160, :200], name="cells")
        viewer.add_shapes([[[0, 0], [0, 199], [159, 199]]], shape_type="polygon")
        stack = stack_of(viewer, layer, prompts, Choices("shapes" if outlined else "plane"))
        recipe = Recipe(stack.selection, tuple(prompts), paint=paint)
        result = Result(layer, Findings(stack, False), recipe, "ontology", one_layer_each)
        for event in look(predictor, stack, recipe, stack.places()):
            if isinstance(event, Seen):
                result.findings.add(event)
        result.show(viewer, [])
        for plane in paint_plane_of(result.findings, stack.places()[0], paint, result.groups):
            result.write(plane)
        return result

    return found


def assert_one_box_each(result, group=None):
    """Every separate object of a layer has a box and nothing else has one."""
    entry = result.layers[group]
    expected = sorted((entry.names[region.label], region.bbox) for region in regionprops(np.asarray(entry.layer.data)))
    assert expected
    rows, columns = result.findings.stack.selection.part(result.findings.stack.shape)
    corner = np.array([rows.start, columns.start] * 2)
    boxes = [boxed for boxed in boxes_of(result) if group in (None, boxed.prompt)]
    assert sorted((boxed.prompt, tuple((boxed.box[:4] + corner).tolist())) for boxed in boxes) == expected
    assert all(0 < boxed.box.score <= 1 for boxed in boxes)


@pytest.mark.parametrize(
    "paint",
    [
        {},
        {"min_area": 1000},
        {"min_area": 0, "fill_holes": False, "split": "apart"},
        {"threshold": 0.3, "thresholds": {"cytoplasm": 0.6}, "rule": "last", "split": "distance"},
    ],
)
@pytest.mark.parametrize("outlined", [False, True])
def test_every_object_has_a_box(find, outlined, paint):
    assert_one_box_each(find(["nuclei", "cytoplasm"], Paint(instances=True, **paint), outlined))


def test_boxes_are_the_same_whether_or_not_labels_are_separate(find):
    whole, separate = (find(["nuclei"], Paint(instances=instances)) for instances in (False, True))
    assert boxes_of(whole) == boxes_of(separate)
    assert_one_box_each(separate)


def test_objects_of_layers_of_their_own_are_boxed_though_they_overlap(find):
    prompts = ["nuclei", "cell nuclei"]
    result = find(prompts, Paint(instances=True), one_layer_each=True)
    for prompt in prompts:
        assert_one_box_each(result, prompt)
    first, second = (result.layers[prompt].layer.data > 0 for prompt in prompts)
    assert (first & second).any()


def test_boxes_of_an_object_that_won_only_some_of_its_pixels():
    viewer = ViewerModel()
    strong, weak = np.zeros((2, 24, 32), np.float32)
    strong[4:20, 4:12] = 0.9
    weak[4:20, 8:20] = 0.8
    masks = [ObjectMask("nuclei", strong), ObjectMask("liver", weak)]
    _, shapes = show(viewer, viewer.add_image(np.zeros((24, 32), np.uint8)), masks)
    assert shapes.features[["prompt", "left", "right"]].to_numpy().tolist() == [["nuclei", 4, 12], ["liver", 12, 20]]


def test_pixels_of_a_filled_hole_lie_in_the_box_but_not_in_its_score():
    viewer = ViewerModel()
    probability = np.zeros((24, 32), np.float32)
    probability[4:16, 5:17] = 0.9
    probability[9:11, 10:12] = 0.2
    _, shapes = show(viewer, viewer.add_image(np.zeros((24, 32), np.uint8)), [ObjectMask("nuclei", probability)])
    assert shapes.features["score"].tolist() == pytest.approx([0.9])
    assert shapes.features[["top", "left", "bottom", "right"]].to_numpy().tolist() == [[4, 5, 16, 17]]


def test_there_are_no_boxes_where_nothing_was_found():
    viewer = ViewerModel()
    nothing = [ObjectMask(prompt, np.zeros((24, 32), np.float32)) for prompt in ("nuclei", "liver")]
    _, shapes = show(viewer, viewer.add_image(np.zeros((24, 32), np.uint8)), nothing)
    assert len(shapes.data) == len(shapes.features) == 0
    assert list(shapes.features) == FEATURES
