"""Channels that napari keeps as layers of their own, mixed into what the model sees, in a real window."""

import dask.array as da
import numpy as np
import pytest
import tifffile
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QLabel, QListWidget, QPushButton

from napari_biomedparse import Recipe, follow
from napari_biomedparse.io.read import read_array
from napari_biomedparse.plugin.examples import labelled_planes
from napari_biomedparse.plugin.layers import recipe_of
from napari_biomedparse.plugin.planning import picture, stack_of
from napari_biomedparse.plugin.selecting import MIX, Choices

RUN = 60_000
LIMITS = (10, 200)


@pytest.fixture
def channels(fluorescence):
    """Two channels that differ, uint8 (2, h, w)."""
    cells = np.ascontiguousarray(fluorescence[0][:160, :200])
    return np.stack([cells, cells[::-1, ::-1] // 2])


def split(viewer, data, **more):
    """Open an array as napari does with channel_axis: a layer for each channel, in the dock's colours."""
    more = {"channel_axis": 0, "name": ["DAPI", "GFP"], "colormap": ["green", "magenta"], **more}
    return viewer.add_image(data, contrast_limits=[LIMITS, LIMITS], **more)


def tick(dock, *names):
    listed = dock.findChild(QListWidget, "mixed")
    for row in range(listed.count()):
        item = listed.item(row)
        item.setCheckState(Qt.CheckState.Checked if item.text() in names else Qt.CheckState.Unchecked)


def offered(dock):
    listed = dock.findChild(QListWidget, "mixed")
    return [listed.item(row).text() for row in range(listed.count())]


def parse(dock, qtbot):
    dock.prompt.setText("nuclei")
    dock.findChild(QPushButton, "parse").click()
    qtbot.waitUntil(lambda: not dock.controller.running, timeout=RUN)


def newest(viewer):
    return [layer for layer in viewer.layers if isinstance(layer, Labels)][-1]


def copied(dock, what):
    dock.findChild(QPushButton, what).click()
    return QApplication.clipboard().text(), dock.findChild(QLabel, "status").text()


def test_two_layers_give_what_one_with_an_axis_of_channels_gives(viewer, dock, qtbot, channels):
    one = viewer.add_image(channels, name="both", axis_labels=("c", "y", "x"), contrast_limits=LIMITS)
    dock.reading.channels.setCurrentIndex(1)
    dock.reading.window_values.setCurrentIndex(dock.reading.window_values.findData("layer"))
    parse(dock, qtbot)
    wanted = np.asarray(newest(viewer).data)
    assert wanted.any()
    viewer.layers.remove(newest(viewer))
    viewer.layers.remove(one)
    dock.reading.window_values.setCurrentIndex(0)
    dapi, gfp = split(viewer, channels, scale=(0.5, 0.5), translate=(3, 4))
    for chosen, other in ((dapi, "GFP"), (gfp, "DAPI")):
        viewer.layers.selection.active = chosen
        tick(dock, other)
        parse(dock, qtbot)
        labels = newest(viewer)
        np.testing.assert_array_equal(labels.data, wanted[0])
        np.testing.assert_allclose(labels.scale, chosen.scale)
        np.testing.assert_allclose(labels.translate, chosen.translate)
    mixed = recipe_of(labels).selection.channels
    assert [(channel.index, channel.window, channel.colour) for channel in mixed] == [
        (0, LIMITS, MIX[0]),
        (1, LIMITS, MIX[1]),
    ]
    tick(dock)
    parse(dock, qtbot)
    assert (newest(viewer).data != wanted[0]).any(), "one channel alone gives other labels"


def test_only_what_fits_is_offered(viewer, dock, channels):
    split(viewer, channels)
    viewer.add_image(channels[0, :-1], name="smaller")
    viewer.add_image(channels[0].astype(float), name="of another kind")
    viewer.add_image(channels[0], name="elsewhere", translate=(0, 5))
    viewer.add_image(np.stack([channels[0]] * 3, axis=-1), name="colours", rgb=True)
    viewer.layers.selection.active = viewer.layers["DAPI"]
    assert offered(dock) == ["GFP"]
    viewer.layers["GFP"].name = "tubulin"
    assert offered(dock) == ["tubulin"]
    viewer.layers.selection.active = viewer.layers["colours"]
    assert offered(dock) == []
    viewer.layers.selection.active = viewer.layers["DAPI"]
    viewer.layers.remove("tubulin")
    assert offered(dock) == []


def test_what_is_mixed_stays_so_when_another_of_it_is_chosen(viewer, dock, channels):
    dapi, gfp = split(viewer, channels)
    alone = viewer.add_image(channels[0, :9, :9], name="alone")
    viewer.layers.selection.active = dapi
    tick(dock, "GFP")
    assert dock.reading.window_chosen == "layer", "the layers' contrast limits hold"
    viewer.layers.selection.active = gfp
    assert dock.reading.beside == (dapi,)
    viewer.layers.selection.active = alone
    assert dock.reading.beside == ()
    assert dock.reading.window_chosen is None


def test_a_layer_that_does_not_fit_any_more_is_named(viewer, dock, qtbot, channels):
    dapi, gfp = split(viewer, channels)
    viewer.layers.selection.active = dapi
    tick(dock, "GFP")
    gfp.scale = (2, 2)
    parse(dock, qtbot)
    assert "GFP cannot be mixed with DAPI" in dock.findChild(QLabel, "status").text()
    gfp.scale = (1, 1)
    dock.reading.axes.setText("CX")
    dock.reading.axes.setText("ZYX")
    parse(dock, qtbot)
    assert "DAPI has 2 axes" in dock.findChild(QLabel, "status").text()


def test_the_picture_is_the_mix(viewer, dock, channels):
    dapi, gfp = split(viewer, channels, colormap=["red", "gray"])
    choices = Choices(window="layer", beside=(gfp,))
    (seen,) = picture(viewer, dapi, choices)()
    shown = [np.clip((plane.astype(float) - LIMITS[0]) / (LIMITS[1] - LIMITS[0]), 0, 1) * 255 for plane in channels]
    expected = np.stack([np.minimum(shown[0] + shown[1], 255), shown[1], shown[1]], axis=-1)
    assert np.abs(seen - expected).max() < 2


def test_lazy_layers_are_read_plane_by_plane(viewer, dock, qtbot, channels):
    read = []

    def plane(block_info=None):
        c, z = block_info[None]["chunk-location"][:2]
        read.append((c, z))
        return channels[c][None, None] // (1 + z % 2)

    shape = (2, 6, *channels.shape[1:])
    lazy = da.map_blocks(plane, chunks=((1, 1), (1,) * 6, *((side,) for side in shape[2:])), dtype=np.uint8)
    dapi, gfp = split(viewer, lazy)
    viewer.layers.selection.active = dapi
    dock.reading.axes.setText("ZYX")
    tick(dock, "GFP")
    viewer.dims.set_current_step(0, 4)
    qtbot.wait(300)
    read.clear()
    stack = stack_of(viewer, dapi, ["nuclei"], Choices(beside=(gfp,)))
    assert all(isinstance(plane, da.Array) for plane in stack.lazy((4,)))
    assert not read
    parse(dock, qtbot)
    assert {z for _, z in read} == {4}
    assert {c for c, _ in read} == {0, 1}
    assert newest(viewer).data[4].any()
    assert newest(viewer).data.shape == dapi.data.shape


def test_pyramids_are_mixed_level_by_level(viewer, dock, qtbot, channels):
    large = np.tile(channels, (1, 8, 8))
    dapi, gfp = split(viewer, [large, large[:, ::2, ::2]], multiscale=True)
    viewer.layers.selection.active = dapi
    stack = stack_of(viewer, dapi, ["liver"], Choices(window="layer", beside=(gfp,)))
    assert stack.selection.level == 1
    assert [plane.shape for plane in stack.values(())] == [(640, 800)] * 2
    np.testing.assert_array_equal(stack.values(())[1], large[1, ::2, ::2])


@pytest.mark.parametrize("deleted", ["DAPI", "GFP"])
def test_deleting_a_mixed_layer_stops_the_run(viewer, dock, qtbot, channels, deleted):
    # napari 0.9.2 crashes without a graphics card when labels are shown after the lowest of two images was deleted.
    viewer.add_image(channels[0, :9, :9], name="lowest")
    dapi, _ = split(viewer, np.tile(channels, (1, 5, 5)))
    viewer.layers.selection.active = dapi
    tick(dock, "GFP")
    dock.prompt.setText("nuclei")
    dock.findChild(QPushButton, "parse").click()
    assert dock.controller.running
    viewer.layers.remove(deleted)
    assert not dock.controller.running
    assert f"{deleted} was deleted" in dock.findChild(QLabel, "status").text()
    assert offered(dock) == []
    assert dock.reading.beside == ()
    parse(dock, qtbot)
    assert newest(viewer).data.any(), "the other one can be parsed"


def test_a_result_outlives_a_mixed_layer(viewer, dock, qtbot, channels):
    dapi, _ = split(viewer, channels)
    viewer.layers.selection.active = dapi
    tick(dock, "GFP")
    parse(dock, qtbot)
    labels, before = newest(viewer), newest(viewer).data.copy()
    viewer.layers.remove("GFP")
    dock.threshold.setValue(0.7)
    qtbot.waitUntil(lambda: recipe_of(labels).paint.threshold == 0.7, timeout=RUN)
    assert (labels.data > 0).sum() < (before > 0).sum()
    dock.findChild(QPushButton, "measure").click()
    qtbot.waitUntil(lambda: not dock.actions.busy, timeout=RUN)
    assert {"intensity_channel_0_mean", "intensity_channel_1_mean"} <= set(labels.features)


def test_script_and_command_of_layers_without_a_file_say_what_they_need(viewer, dock, qtbot, channels, predictor):
    dapi, _ = split(viewer, channels)
    viewer.layers.selection.active = dapi
    tick(dock, "GFP")
    parse(dock, qtbot)
    for what in ("copy_script", "copy_command"):
        text, sentence = copied(dock, what)
        assert "IMAGE with an axis C of DAPI, GFP" in text
        assert "needs DAPI, GFP as the channels of one file" in sentence
    recipe = recipe_of(newest(viewer))
    np.testing.assert_array_equal(follow(recipe, channels, predictor)[0], newest(viewer).data)


def test_script_of_one_file_gives_the_same_labels(viewer, dock, qtbot, channels, predictor, tmp_path):
    path = tmp_path / "cells.ome.tif"
    three = np.stack([channels[0] // 3, channels[0], channels[1]])
    tifffile.imwrite(path, three, metadata={"axes": "CYX"}, photometric="minisblack")
    first, dapi, _ = viewer.open(path, channel_axis=0, name=["other", "DAPI", "GFP"], plugin="napari")
    # Neither the order of the layers nor their number is the file's.
    viewer.layers.move(2, 1)
    assert [layer.name for layer in viewer.layers] == ["other", "GFP", "DAPI"]
    viewer.layers.remove(first)
    viewer.layers.selection.active = dapi
    tick(dock, "GFP")
    parse(dock, qtbot)
    labels = newest(viewer)
    text, sentence = copied(dock, "copy_script")
    assert sentence == "The script is on the clipboard."
    recipe = Recipe.from_json(text.split('r"""')[1].split('"""')[0])
    assert recipe.source == str(path)
    assert [channel.index for channel in recipe.selection.channels] == [2, 1]
    repeated = follow(recipe, read_array(path, recipe.selection.axes), predictor)
    assert repeated.any()
    np.testing.assert_array_equal(repeated[1], labels.data)


def test_run_again_takes_the_ticked_layers(viewer, dock, qtbot, channels):
    dapi, _ = split(viewer, channels)
    viewer.layers.selection.active = dapi
    tick(dock, "GFP")
    parse(dock, qtbot)
    first = newest(viewer)
    viewer.layers.selection.active = first
    dock.findChild(QPushButton, "run_again").click()
    qtbot.waitUntil(lambda: not dock.controller.running, timeout=RUN)
    again = newest(viewer)
    assert again is not first
    np.testing.assert_array_equal(again.data, first.data)
    tick(dock)
    viewer.layers.selection.active = first
    dock.findChild(QPushButton, "run_again").click()
    assert "made from 2 channels" in dock.findChild(QLabel, "status").text()


def test_a_model_learns_from_the_mix_that_the_labels_were_made_on(viewer, dock, qtbot, fluorescence):
    one, two = split(viewer, np.stack([fluorescence[0], fluorescence[0] // 4]), colormap=["gray", "magenta"])
    viewer.layers.selection.active = one
    tick(dock, "GFP")
    parse(dock, qtbot)
    labels = newest(viewer)
    ((alone, _),) = labelled_planes(viewer, one, viewer.add_labels(labels.data.copy()))
    assert (alone == one.data).all()
    planes = [labelled_planes(viewer, first, labels, [other]) for first, other in ((one, two), (two, one))]
    for ((pixels, numbers),) in planes:
        assert (pixels == stack_of(viewer, one, ["nuclei"], Choices(beside=(two,), window="layer")).read(())).all()
        assert (numbers == labels.data).all()
    viewer.layers.selection.active = labels
    dock.finetune.name.setText("mixed")
    dock.finetune.steps.setValue(1)
    tick(dock)
    dock.finetune.start.click()
    assert "Mix with" in dock.finetune.result.text()
    tick(dock, "GFP")
    dock.finetune.start.click()
    qtbot.waitUntil(lambda: not dock.finetune.busy, timeout=RUN)
    assert "Dice on the held-back part" in dock.finetune.result.text()
