"""The dock in a real napari window, clicked and typed into."""

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLabel, QLineEdit, QProgressBar, QPushButton, QWidget

from napari_biomedparse import follow
from napari_biomedparse.engine.channels import Channel
from napari_biomedparse.evaluation.overlap import dice
from napari_biomedparse.plugin.dock import ParseDock
from napari_biomedparse.plugin.layers import recipe_of

RUN = 60_000


@pytest.fixture
def notes(monkeypatch):
    """Sentences shown as napari notifications."""
    from napari.utils.notifications import notification_manager

    seen: list[str] = []

    def keep(notification):
        seen.append(notification.message)

    notification_manager.notification_ready.connect(keep)
    yield seen
    notification_manager.notification_ready.disconnect(keep)


def find(dock, kind, name):
    widget = dock.findChild(kind, name)
    assert widget is not None, f"there is no {name}"
    return widget


def parse(dock, qtbot, words, by_key=False):
    """Type words and click Parse (or press Enter), and wait for the end of the run."""
    line = find(dock, QLineEdit, "prompt")
    line.clear()
    qtbot.keyClicks(line, words)
    if by_key:
        qtbot.keyClick(line, Qt.Key.Key_Return)
    else:
        qtbot.mouseClick(find(dock, QPushButton, "parse"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not find(dock, QPushButton, "cancel").isEnabled(), timeout=RUN)


def results(viewer):
    return [layer for layer in viewer.layers if isinstance(layer, Labels)]


def test_controls_have_names_for_people_and_programs(dock):
    kinds = {
        "image": QComboBox,
        "prompt": QLineEdit,
        "parse": QPushButton,
        "cancel": QPushButton,
        "progress": QProgressBar,
        "threshold": QWidget,
        "status": QLabel,
    }
    for name, kind in kinds.items():
        assert find(dock, kind, name).accessibleName()
    assert dock.minimumSizeHint().width() <= 300


def test_a_word_becomes_a_labels_layer(viewer, dock, qtbot, fluorescence):
    pixels, truth, _ = fluorescence
    image = viewer.add_image(pixels, name="cells", scale=(0.5, 0.5), translate=(3, 4), units=("um", "um"))
    parse(dock, qtbot, "nuclei")
    (labels,) = results(viewer)
    assert dice(labels.data == 1, truth) > 0.88
    np.testing.assert_allclose(labels.translate, image.translate)
    np.testing.assert_allclose(labels.scale, image.scale)
    assert labels.units == image.units
    assert labels.features["prompt"].tolist() == ["nuclei"]
    assert "nuclei" in find(dock, QLabel, "status").text()
    # The words stay for the next run, and Enter starts it.
    assert find(dock, QLineEdit, "prompt").text() == "nuclei"
    parse(dock, qtbot, "nuclei, cytoplasm", by_key=True)
    assert len(results(viewer)) == 2


def test_the_threshold_changes_the_layer_without_the_model(viewer, dock, qtbot, fluorescence, monkeypatch):
    viewer.add_image(fluorescence[0])
    parse(dock, qtbot, "nuclei")
    (labels,) = results(viewer)
    monkeypatch.setattr(dock._session, "look", lambda *arguments: pytest.fail("the model was run"))
    before = labels.data > 0
    dock.threshold.setValue(0.95)
    after = labels.data > 0
    assert (after <= before).all()
    assert after.sum() < before.sum()
    qtbot.waitUntil(lambda: labels.features["area_px"].tolist() == [after.sum()], timeout=5000)


def test_colour_images_and_planes_of_a_stack(viewer, dock, qtbot, histology, fluorescence):
    viewer.add_image(histology[0], name="section", rgb=True)
    parse(dock, qtbot, "nuclei")
    assert dice(results(viewer)[0].data == 1, histology[1]) > 0.7
    viewer.layers.clear()
    stack = np.stack([np.zeros_like(fluorescence[0]), fluorescence[0]])
    viewer.add_image(stack, name="stack")
    viewer.dims.set_point(0, 1)
    parse(dock, qtbot, "nuclei")
    (labels,) = results(viewer)
    assert labels.data.shape == stack.shape
    assert not labels.data[0].any()
    assert dice(labels.data[1] == 1, fluorescence[1]) > 0.88


def test_one_colour_of_a_picture_is_parsed_as_grey_and_recorded(viewer, dock, qtbot, fluorescence):
    grey = fluorescence[0]
    colours = np.stack([np.full_like(grey, 7), grey, np.zeros_like(grey)], axis=-1)
    plain = viewer.add_image(grey, name="grey")
    channels = find(dock, QComboBox, "channels")
    assert not channels.isEnabled()
    parse(dock, qtbot, "nuclei")
    wanted = results(viewer)[-1].data.copy()
    picture = viewer.add_image(colours, name="colours", rgb=True)
    viewer.layers.selection.active = picture
    assert channels.isEnabled()
    assert channels.currentText() == "colours as they are"
    channels.setCurrentIndex(channels.findText("green, as grey"))
    parse(dock, qtbot, "nuclei")
    labels = results(viewer)[-1]
    assert wanted.any()
    np.testing.assert_array_equal(labels.data, wanted)
    recipe = recipe_of(labels)
    assert recipe.selection.channels == (Channel(1, None),)
    np.testing.assert_array_equal(follow(recipe, colours), wanted)
    viewer.layers.selection.active = plain
    assert channels.currentText() == "shown one"
    assert not channels.isEnabled()


def test_the_chooser_follows_the_viewer(viewer, dock, qtbot):
    chooser = find(dock, QComboBox, "image")
    button = find(dock, QPushButton, "parse")
    assert chooser.count() == 0
    assert not button.isEnabled()
    first = viewer.add_image(np.zeros((9, 9), np.uint8), name="first")
    second = viewer.add_image(np.zeros((9, 9), np.uint8), name="second")
    viewer.add_labels(np.zeros((9, 9), int), name="no image")
    assert [chooser.itemText(n) for n in range(chooser.count())] == ["second", "first"]
    assert button.isEnabled()
    viewer.layers.selection.active = first
    assert chooser.currentText() == "first"
    first.name = "renamed"
    assert chooser.currentText() == "renamed"
    viewer.layers.remove(first)
    assert chooser.currentText() == "second"
    viewer.layers.remove(second)
    assert not button.isEnabled()


def test_cancel_stops_the_run_and_leaves_nothing(viewer, dock, qtbot, fluorescence):
    viewer.add_image(np.tile(fluorescence[0], (3, 3)))
    find(dock, QLineEdit, "prompt").setText("nuclei")
    qtbot.mouseClick(find(dock, QPushButton, "parse"), Qt.MouseButton.LeftButton)
    progress = find(dock, QProgressBar, "progress")
    qtbot.waitUntil(lambda: progress.value() > 0, timeout=RUN)
    qtbot.mouseClick(find(dock, QPushButton, "cancel"), Qt.MouseButton.LeftButton)
    assert "Cancelled" in find(dock, QLabel, "status").text()
    assert not results(viewer)
    # The next run is not disturbed by the last one.
    viewer.layers.clear()
    viewer.add_image(fluorescence[0][:64, :64])
    parse(dock, qtbot, "nuclei")
    assert len(results(viewer)) == 1


@pytest.mark.parametrize(
    ("data", "words", "sentence"),
    [
        (np.zeros((9, 9), np.uint8), " , ", "Type what to look for"),
        (np.zeros((9, 9), bool), "nuclei", "boolean"),
        (np.zeros((9, 9)), "nuclei", "64-bit"),
        (np.full((9, 9), np.nan, np.float32), "nuclei", "NaN or infinite"),
    ],
)
def test_what_cannot_be_parsed_gives_a_notification(viewer, dock, qtbot, notes, data, words, sentence):
    viewer.add_image(data, contrast_limits=(0, 1))
    parse(dock, qtbot, words)
    assert sentence in find(dock, QLabel, "status").text()
    assert any(sentence in note for note in notes)
    assert not results(viewer)
    assert find(dock, QPushButton, "parse").isEnabled()


def test_an_unknown_model_gives_a_notification(viewer, dock, qtbot, notes):
    viewer.add_image(np.ones((9, 9), np.uint8))
    dock._session.model = "huge"
    parse(dock, qtbot, "nuclei")
    assert any("no model called 'huge'" in note for note in notes)


def test_words_outside_the_vocabulary_are_asked_and_said(viewer, dock, qtbot):
    viewer.add_image(np.ones((9, 9), np.uint8))
    parse(dock, qtbot, "flux capacitor")
    assert "Not in the vocabulary" in find(dock, QLabel, "status").text()


def test_deleting_layers_is_safe(viewer, dock, qtbot, fluorescence):
    image = viewer.add_image(fluorescence[0])
    find(dock, QLineEdit, "prompt").setText("nuclei")
    qtbot.mouseClick(find(dock, QPushButton, "parse"), Qt.MouseButton.LeftButton)
    viewer.layers.remove(image)
    assert not find(dock, QPushButton, "cancel").isEnabled()
    assert "was deleted" in find(dock, QLabel, "status").text()
    viewer.add_image(fluorescence[0])
    parse(dock, qtbot, "nuclei")
    (labels,) = results(viewer)
    viewer.layers.remove(labels)
    dock.threshold.setValue(0.7)
    assert not results(viewer)


def test_closing_the_dock_while_it_runs_is_safe(viewer, qtbot, fluorescence):
    container, dock = viewer.window.add_plugin_dock_widget("napari-biomedparse", "Segment with words")
    viewer.add_image(np.tile(fluorescence[0], (2, 2)))
    find(dock, QLineEdit, "prompt").setText("nuclei")
    qtbot.mouseClick(find(dock, QPushButton, "parse"), Qt.MouseButton.LeftButton)
    assert dock.controller.running
    viewer.window.remove_dock_widget(container)
    assert not dock.controller.running
    viewer.add_image(np.zeros((5, 5)))
    qtbot.wait(200)
    assert not results(viewer)


def test_the_prompt_completes_the_last_words(viewer, dock, qtbot):
    line = find(dock, QLineEdit, "prompt")
    qtbot.keyClicks(line, "nuclei, leuk")
    popup = line.completer().popup()
    qtbot.waitUntil(popup.isVisible)
    qtbot.keyClick(popup, Qt.Key.Key_Down)
    qtbot.keyClick(popup, Qt.Key.Key_Return)
    assert line.text() == "nuclei, leukocyte"
    assert line.prompts == ["nuclei", "leukocyte"]
    # Choosing a word is not yet asking for it.
    assert "Ready" in find(dock, QLabel, "status").text()


def test_the_dock_is_reached_from_the_layers_menu(viewer):
    from napari._app_model import get_app_model

    commands = [
        item.command.id for item in get_app_model().menus.get_menu("napari/layers/segment") if hasattr(item, "command")
    ]
    assert any("napari-biomedparse" in command for command in commands)


@pytest.mark.parametrize("key", ["fluorescent_nuclei", "histology"])
def test_samples_open(viewer, key):
    (layer,) = viewer.open_sample("napari-biomedparse", key)
    assert layer.data.ndim == (3 if key == "histology" else 2)
    assert layer.rgb == (key == "histology")


def test_the_dock_class_is_the_manifests(dock):
    assert isinstance(dock, ParseDock)


def test_a_result_that_does_not_depend_on_the_words_is_reported(viewer, dock, qtbot, fluorescence, monkeypatch):
    viewer.add_image(fluorescence[0][:96, :96])
    parse(dock, qtbot, "nuclei")
    status = find(dock, QLabel, "status")
    assert "your words" not in status.text()
    # From now on the model hears "nuclei", whatever it is told.
    predictor = dock._session._loaded.predictor
    heard = predictor.model.encode_text(["nuclei"])
    monkeypatch.setattr(
        predictor.model,
        "encode_text",
        lambda prompts: type(heard)(*(part.repeat(len(prompts), *[1] * (part.ndim - 1)) for part in heard)),
    )
    predictor.cache.clear()
    parse(dock, qtbot, "nuclei")
    assert "Does not depend on your words: nuclei." in status.text()
