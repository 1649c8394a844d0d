"""Fine-tuning on a labels layer in a real napari window."""

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLabel, QLineEdit, QProgressBar, QPushButton, QSpinBox

from napari_biomedparse import Predictor
from napari_biomedparse.engine.channels import Channel
from napari_biomedparse.engine.recipe import Recipe
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.engine.stack import Stack
from napari_biomedparse.engine.tables import table_path
from napari_biomedparse.ontology import RecognitionTable
from napari_biomedparse.plugin.examples import labelled_planes, meanings, names_of
from napari_biomedparse.plugin.layers import METADATA_KEY
from napari_biomedparse.plugin.widgets.finetune_panel import FinetunePanel
from napari_biomedparse.training.finetune import Tuned
from napari_biomedparse.weights import locate
from napari_biomedparse.weights.folders import models_folder
from napari_biomedparse.weights.own_models import model_choices, own_models

RUN = 100_000


@pytest.fixture
def panel(viewer, qtbot):
    panel = FinetunePanel(viewer)
    viewer.window.add_dock_widget(panel, name="Fine-tune")
    yield panel
    panel.leave()
    qtbot.waitUntil(lambda: not panel.busy, timeout=RUN)


@pytest.fixture
def labelled(viewer, fluorescence):
    """A fluorescence image and the labels of its nuclei in the viewer."""
    pixels, _, instances = fluorescence
    image = viewer.add_image(pixels, name="cells")
    return image, viewer.add_labels(instances.astype(np.int32), name="corrected")


def find(panel, kind, name):
    widget = panel.findChild(kind, f"finetune_{name}")
    assert widget is not None, f"there is no {name}"
    return widget


def said(panel) -> str:
    return find(panel, QLabel, "result").text()


def begin(panel, qtbot, name="mine", words="nuclei", steps=2) -> None:
    find(panel, QLineEdit, "name").setText(name)
    find(panel, QLineEdit, "prompt").setText(words)
    find(panel, QSpinBox, "steps").setValue(steps)
    qtbot.mouseClick(find(panel, QPushButton, "start"), Qt.MouseButton.LeftButton)


def test_controls_have_names_for_people_and_programs(panel):
    kinds = {
        "labels": QComboBox,
        "image": QComboBox,
        "prompt": QLineEdit,
        "name": QLineEdit,
        "base": QComboBox,
        "method": QComboBox,
        "steps": QSpinBox,
        "start": QPushButton,
        "cancel": QPushButton,
        "progress": QProgressBar,
    }
    for name, kind in kinds.items():
        assert find(panel, kind, name).accessibleName()
    assert panel.objectName() == "finetune"
    assert find(panel, QSpinBox, "steps").value() == 60
    assert not find(panel, QPushButton, "start").isEnabled()
    assert panel.minimumSizeHint().width() <= 300


def test_it_trains_on_the_device_that_is_chosen(viewer, qtbot, labelled):
    panel = FinetunePanel(viewer, device=lambda: "cuda:99")
    viewer.window.add_dock_widget(panel, name="Fine-tune")
    begin(panel, qtbot)
    qtbot.waitUntil(lambda: not panel.busy, timeout=RUN)
    assert "cuda:99" in said(panel)
    assert not own_models()
    panel.leave()


@pytest.fixture
def judged(monkeypatch):
    """Let every new model count as better, or as worse."""
    return lambda better: monkeypatch.setattr(Tuned, "better", property(lambda self: better))


def test_labels_become_a_model_in_the_list(viewer, panel, qtbot, labelled, judged):
    judged(better=True)
    names = []
    panel.saved.connect(names.append)
    begin(panel, qtbot, "my nuclei")
    assert panel.busy
    assert find(panel, QPushButton, "cancel").isEnabled()
    # What was copied is learnt from; the layers may go.
    viewer.layers.clear()
    qtbot.waitUntil(lambda: not panel.busy, timeout=RUN)
    assert said(panel).startswith("Dice on the held-back part: 0.")
    assert said(panel).endswith("Saved as 'my nuclei'.")
    assert not find(panel, QPushButton, "save").isVisible()
    assert names == ["my nuclei"]
    assert "my nuclei" in [choice.name for choice in model_choices() if choice.ready]
    assert find(panel, QComboBox, "base").findData("my nuclei") >= 0
    predictor = Predictor.from_pretrained("my nuclei", "cpu")
    assert predictor.segment(np.ones((32, 32)), ["nuclei"])[0].probability.shape == (32, 32)
    assert predictor.table == RecognitionTable.read(table_path(locate("mini")))
    assert sorted(path.name for path in models_folder().iterdir()) == [
        "my nuclei.recognition.json",
        "my nuclei.safetensors",
    ]


def test_a_cancelled_run_saves_nothing(panel, qtbot, labelled):
    begin(panel, qtbot, steps=500)
    bar = find(panel, QProgressBar, "progress")
    qtbot.waitUntil(lambda: bar.value() > 0, timeout=RUN)
    qtbot.mouseClick(find(panel, QPushButton, "cancel"), Qt.MouseButton.LeftButton)
    # The step that is being taken is finished first.
    qtbot.waitUntil(lambda: not panel.busy, timeout=RUN)
    assert said(panel) == "Stopped; nothing was saved."
    assert find(panel, QPushButton, "start").isEnabled()
    assert not list(models_folder().iterdir())


@pytest.mark.parametrize("wanted", [True, False])
def test_a_worse_model_is_saved_only_if_the_user_wants_it(panel, qtbot, labelled, judged, wanted):
    judged(better=False)
    names = []
    panel.saved.connect(names.append)
    begin(panel, qtbot)
    qtbot.waitUntil(lambda: not panel.busy, timeout=RUN)
    assert "not saved yet" in said(panel)
    assert own_models() == names == []
    assert not find(panel, QPushButton, "start").isEnabled()
    if wanted:
        # A name that cannot be had loses nothing.
        find(panel, QLineEdit, "name").setText("mini")
        qtbot.mouseClick(find(panel, QPushButton, "save"), Qt.MouseButton.LeftButton)
        assert "already" in said(panel)
        find(panel, QLineEdit, "name").setText("other")
    qtbot.mouseClick(find(panel, QPushButton, "save" if wanted else "discard"), Qt.MouseButton.LeftButton)
    assert own_models() == names == (["other"] if wanted else [])
    assert [path.name for path in models_folder().iterdir() if path.name.startswith(".")] == []
    assert find(panel, QPushButton, "start").isEnabled()
    assert not find(panel, QPushButton, "save").isVisible()


@pytest.mark.parametrize(
    ("name", "words", "sentence"),
    [
        ("", "nuclei", "needs a name"),
        ("mini", "nuclei", "already"),
        ("a/b", "nuclei", "use letters"),
        ("mine", " , ", "Type what the labels show"),
        ("mine", "nuclei, cytoplasm", "one word for all labels"),
    ],
)
def test_what_cannot_be_done_is_said_before_it_begins(panel, qtbot, labelled, name, words, sentence):
    begin(panel, qtbot, name, words)
    assert not panel.busy
    assert sentence in said(panel)


def test_empty_and_foreign_labels_are_refused(viewer, panel, qtbot, labelled):
    viewer.add_labels(np.zeros_like(labelled[1].data), name="blank")
    begin(panel, qtbot)
    assert "Nothing is labelled in 'blank'" in said(panel)
    viewer.add_labels(np.ones((9, 9), int), name="small")
    begin(panel, qtbot)
    assert "'small' have the shape (9, 9)" in said(panel)


def test_too_little_to_hold_back_is_said(viewer, panel, qtbot, labelled):
    few = np.zeros_like(labelled[1].data)
    few[1, 1] = 1
    viewer.add_labels(few, name="a dot")
    begin(panel, qtbot)
    qtbot.waitUntil(lambda: not panel.busy, timeout=RUN)
    assert "Too little is labelled" in said(panel)
    assert own_models() == []


def test_the_words_of_a_result_are_filled_in(viewer, panel, labelled):
    layer = Labels(labelled[1].data, metadata={METADATA_KEY: {"names": {1: "nuclei", 2: "nuclei", 3: "cytoplasm"}}})
    viewer.add_layer(layer)
    assert panel.labels.layer is layer
    assert find(panel, QLineEdit, "prompt").text() == "nuclei, cytoplasm"
    assert names_of(layer) == {1: "nuclei", 2: "nuclei", 3: "cytoplasm"}


def test_values_mean_what_is_known_or_typed():
    assert meanings([3, 1], {}, ["nuclei"]) == {1: "nuclei", 3: "nuclei"}
    assert meanings([3, 1], {}, ["nuclei", "cytoplasm"]) == {1: "nuclei", 3: "cytoplasm"}
    # A corrected object has a new number; a word that was changed holds for all.
    assert meanings([1, 2], {1: "nuclei"}, ["cells"]) == {1: "cells", 2: "cells"}
    names = {1: "liver", 2: "spleen", 5: "kidney"}
    assert meanings([1, 2], names, ["liver", "spleen"]) == {1: "liver", 2: "spleen"}
    assert meanings([1, 7], names, ["liver", "spleen", "stomach"]) == {1: "liver", 7: "stomach"}
    with pytest.raises(ValueError, match="labels 7 have no name"):
        meanings([1, 7], names, ["liver", "spleen"])


def test_a_table_with_prompts_says_what_values_mean(viewer):
    table = {"index": [0, 1, 4], "prompt": ["", "liver", "spleen"]}
    assert names_of(viewer.add_labels(np.ones((8, 9), int), features=table)) == {1: "liver", 4: "spleen"}
    assert names_of(viewer.add_labels(np.ones((8, 9), int), features={"index": [1]})) == {}


def test_of_a_result_only_the_channel_and_the_part_that_were_parsed_are_read(viewer, rng):
    image = viewer.add_image(rng.integers(0, 255, (4, 3, 20, 30), np.uint8))
    selection = Selection("ZCYX", at={"Z": 2}, region=(5, 5, 15, 25), channels=(Channel(1, None),))
    stack = Stack((image.data,), selection)
    data = stack.blank(np.uint16)
    stack.write(data, (2,), np.ones((10, 20), np.uint16))
    labels = viewer.add_labels(data, metadata={METADATA_KEY: {"recipe": Recipe(selection, ("nuclei",)).as_json()}})
    ((pixels, numbers),) = labelled_planes(viewer, image, labels)
    np.testing.assert_array_equal(pixels, image.data[2, 1, 5:15, 5:25])
    assert numbers.shape == (10, 20)
    assert numbers.all()
    # Labels that were added outside of that part need the whole plane.
    labels.data[2, 0, 0, 0] = 1
    ((pixels, numbers),) = labelled_planes(viewer, image, labels)
    np.testing.assert_array_equal(pixels, image.data[2, 1])
    assert numbers.sum() == 201


def test_of_a_result_on_one_colour_that_colour_is_learned_from(viewer, rng):
    picture = viewer.add_image(rng.integers(0, 255, (20, 30, 3), np.uint8), rgb=True)
    selection = Selection("YX", rgb=True, channels=(Channel(1, None),))
    told = {METADATA_KEY: {"recipe": Recipe(selection, ("nuclei",)).as_json()}}
    labels = viewer.add_labels(np.ones((20, 30), np.uint16), metadata=told)
    ((pixels, numbers),) = labelled_planes(viewer, picture, labels)
    np.testing.assert_array_equal(pixels, picture.data[..., 1])
    assert numbers.all()


def test_planes_of_a_stack_and_of_colours_are_copied(viewer, rng):
    stack = rng.integers(0, 255, (50, 2, 8, 9), np.uint8)
    numbers = np.zeros(stack.shape, np.uint8)
    numbers[3, 1, 2, 2] = numbers[7, 0, 1, 1] = 4
    image, labels = viewer.add_image(stack), viewer.add_labels(numbers)
    planes = labelled_planes(viewer, image, labels)
    assert len(planes) == 2
    np.testing.assert_array_equal(planes[0][0], stack[3, 1])
    np.testing.assert_array_equal(planes[1][1], numbers[7, 0])
    labels.data[3, 1] = 0
    assert planes[0][1].max() == 4
    numbers[:] = 1
    assert len(labelled_planes(viewer, image, viewer.add_labels(numbers))) == 32
    colours = viewer.add_image(rng.integers(0, 255, (8, 9, 4), np.uint8), rgb=True)
    ((pixels, _),) = labelled_planes(viewer, colours, viewer.add_labels(np.ones((8, 9), int)))
    assert pixels.shape == (8, 9, 3)
    levels = [stack[0, 0], stack[0, 0, ::2, ::2]]
    ((pixels, _),) = labelled_planes(
        viewer, viewer.add_image(levels, multiscale=True), viewer.add_labels(np.ones(levels[1].shape, int))
    )
    np.testing.assert_array_equal(pixels, levels[1])
