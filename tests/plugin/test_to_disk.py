"""Runs to the disk from the dock, in a real window, over real files."""

import os
import time

import dask.array as da
import numpy as np
import pytest
import tifffile
from napari.layers import Image, Labels
from qtpy.QtWidgets import QLabel, QLineEdit, QProgressBar, QPushButton

from napari_biomedparse.engine.predictor import Predictor
from napari_biomedparse.io.label_store import LabelStore
from napari_biomedparse.plugin import to_disk
from napari_biomedparse.plugin.dock import ParseDock
from napari_biomedparse.plugin.layers import recipe_of
from napari_biomedparse.scale.study import Here

RUN = 120_000


@pytest.fixture
def cells(tmp_path, fluorescence):
    """A file of three planes of nuclei, smaller than the sample."""
    plane = fluorescence[0][:128, :160]
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, np.stack([plane, plane[::-1], plane[:, ::-1]]), metadata={"axes": "ZYX"}, imagej=True)
    return path


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "results"


@pytest.fixture
def often(monkeypatch):
    """What grows is looked at after each task."""
    monkeypatch.setattr(to_disk, "REFRESH", 0.0)


def say(dock, folder, words="nuclei", scheduler=""):
    dock.prompt.setText(words)
    dock.findChild(QLineEdit, "disk_folder").setText(str(folder))
    dock.findChild(QLineEdit, "scheduler").setText(scheduler)


def begin(dock):
    dock.findChild(QPushButton, "to_disk").click()


def wait(dock, qtbot):
    qtbot.waitUntil(lambda: not dock.findChild(QPushButton, "cancel").isEnabled(), timeout=RUN)


def run(dock, qtbot, folder, **more):
    say(dock, folder, **more)
    begin(dock)
    wait(dock, qtbot)
    return status(dock)


def status(dock):
    return dock.findChild(QLabel, "status").text()


def labels(viewer):
    return [layer for layer in viewer.layers if isinstance(layer, Labels)]


def finest(layer):
    return np.asarray(layer.data[0] if layer.multiscale else layer.data)


def parsed(viewer, dock, qtbot):
    """Return what the dock's own run over everything gives, and take its layer away."""
    dock.scope.choose("all")
    dock.prompt.setText("nuclei")
    dock.findChild(QPushButton, "parse").click()
    wait(dock, qtbot)
    (layer,) = labels(viewer)
    viewer.layers.remove(layer)
    return layer


@pytest.mark.parametrize("separate", [False, True])
def test_the_finished_layer_is_what_a_run_in_the_window_gives(viewer, dock, qtbot, cells, folder, separate):
    (image,) = viewer.open(cells)
    image.scale, image.translate, image.units = (2, 0.5, 0.5), (7, 3, 4), ("um", "um", "um")
    dock.objects.instances.setChecked(separate)
    expected = parsed(viewer, dock, qtbot)
    sentence = run(dock, qtbot, folder)
    (layer,) = labels(viewer)
    assert expected.data.any()
    np.testing.assert_array_equal(finest(layer), expected.data)
    for name in ("scale", "translate", "units", "axis_labels"):
        assert np.array_equal(getattr(layer, name), getattr(image, name))
    assert viewer.layers.index(layer) == viewer.layers.index(image) + 1
    assert str(folder / "cells.ome.zarr") in sentence
    assert (" on " in sentence.partition(";")[0]) == (not separate)
    assert (folder / "cells.parquet").is_file()
    made, asked = recipe_of(layer), recipe_of(expected)
    assert (made.prompts, made.paint, made.weights) == (asked.prompts, asked.paint, asked.weights)
    # All is there, so the same again only opens it.
    assert "changed after" not in run(dock, qtbot, folder)
    np.testing.assert_array_equal(finest(labels(viewer)[-1]), expected.data)
    os.utime(cells, ns=(time.time_ns() + 10**9,) * 2)
    assert "The image was changed after they were made" in run(dock, qtbot, folder)


def test_labels_can_be_seen_while_they_grow(viewer, dock, qtbot, cells, folder, often):
    (image,) = viewer.open(cells)
    image.scale = (2, 0.5, 0.5)
    expected = parsed(viewer, dock, qtbot)
    seen = []

    def look(_done, _total):
        seen.extend((layer, np.asarray(layer.data), layer.scale) for layer in labels(viewer))

    dock.to_disk.advanced.connect(look)
    run(dock, qtbot, folder)
    assert seen
    assert all("growing" in layer.name for layer, *_ in seen)
    filled = [[plane.any() for plane in data] for _, data, _ in seen]
    assert [True, False, False] in filled
    assert [True, True, True] in filled
    np.testing.assert_array_equal(seen[-1][2], image.scale)
    last = next(data for data, planes in zip([data for _, data, _ in seen], filled, strict=True) if all(planes))
    np.testing.assert_array_equal(last, expected.data)
    (layer,) = labels(viewer)
    assert seen[0][0] is not layer
    assert dock.findChild(QProgressBar, "progress").text() == ""


def test_what_is_seen_follows_the_slider_and_is_not_kept(viewer, dock, qtbot, cells, folder, often):
    """The layer itself shows more after a refresh, not only its data."""
    viewer.open(cells)
    viewer.dims.set_point(0, 0)
    shown = []

    def look(_done, _total):
        shown.extend(bool(np.asarray(layer._slice.image.raw).any()) for layer in labels(viewer))

    dock.to_disk.advanced.connect(look)
    run(dock, qtbot, folder)
    assert shown[0] is False
    assert shown[-1] is True


def test_large_planes_are_sampled_while_they_grow(viewer, dock, qtbot, cells, folder, often, monkeypatch):
    from napari_biomedparse.scale import preview

    monkeypatch.setattr(preview, "SHOWN", 128 * 160 // 9)
    viewer.open(cells)
    expected = parsed(viewer, dock, qtbot)
    seen = []
    dock.to_disk.advanced.connect(
        lambda *_: seen.extend((np.asarray(layer.data), tuple(layer.scale)) for layer in labels(viewer))
    )
    run(dock, qtbot, folder)
    data, scale = max(seen, key=lambda entry: entry[0].sum())
    assert scale == (1, 4, 4)
    np.testing.assert_array_equal(data, expected.data[:, ::4, ::4])


def test_cancelled_runs_go_on(viewer, dock, qtbot, cells, folder, often, monkeypatch):
    viewer.open(cells)
    say(dock, folder)
    asked = []

    class Counted(Here):
        def wait(self):
            done = super().wait()
            asked.append(done.task.pixels)
            if sum(map(bool, asked)) == 1:
                dock.to_disk._run.stopped.set()
            return done

    monkeypatch.setattr("napari_biomedparse.scale.study.Here", Counted)
    sentence = run(dock, qtbot, folder)
    assert "kept" in sentence
    assert sum(map(bool, asked)) == 1
    assert not LabelStore.open(folder / "cells.ome.zarr").finished
    (growing,) = labels(viewer)
    assert np.asarray(growing.data).any()
    monkeypatch.undo()
    looked = []
    dock.to_disk.advanced.connect(lambda *_: looked.extend(np.asarray(one.data)[0].any() for one in labels(viewer)))
    run(dock, qtbot, folder)
    assert looked[0]
    (layer,) = labels(viewer)
    assert finest(layer).any()
    assert growing not in viewer.layers


def test_how_far_it_is_is_known_from_the_beginning(viewer, dock, qtbot, cells, folder):
    viewer.open(cells)
    told = []
    dock.to_disk.advanced.connect(lambda *step: told.append(step))
    run(dock, qtbot, folder)
    assert told[0] == (0, 100)
    assert (33, 100) in told
    assert told[-1] == (100, 100)


def test_cancel_waits_for_one_step_of_the_model_only(viewer, dock, qtbot, cells, folder, monkeypatch):
    viewer.open(cells)
    say(dock, folder)
    steps = []
    given = Predictor.steps

    def counted(*args, **kwargs):
        for step in given(*args, **kwargs):
            steps.append(step)
            if step.done:
                dock.to_disk._run.stopped.set()
            yield step

    monkeypatch.setattr(Predictor, "steps", counted)
    assert "kept" in run(dock, qtbot, folder)
    assert steps.pop().done
    assert not any(step.done for step in steps)


def test_cancel_by_its_button(viewer, dock, qtbot, cells, folder):
    viewer.open(cells)
    say(dock, folder)
    begin(dock)
    assert not dock.findChild(QPushButton, "parse").isEnabled()
    # Nor by a key.
    dock.chips.submitted.emit()
    assert "Wait until" in status(dock)
    qtbot.waitUntil(lambda: bool(labels(viewer)), timeout=RUN)
    dock.findChild(QPushButton, "cancel").click()
    wait(dock, qtbot)
    assert "Cancelled" in status(dock)
    assert dock.findChild(QPushButton, "parse").isEnabled()


def test_another_question_is_refused(viewer, dock, qtbot, cells, folder):
    viewer.open(cells)
    run(dock, qtbot, folder)
    before = labels(viewer)
    assert "another question" in run(dock, qtbot, folder, words="cytoplasm")
    assert labels(viewer) == before
    assert LabelStore.open(folder / "cells.ome.zarr").finished


def test_layers_without_a_file_or_unlike_it_are_refused(viewer, dock, qtbot, cells, folder):
    plain = viewer.add_image(np.ones((64, 64), np.uint8), name="made")
    assert "made was not opened from a file" in run(dock, qtbot, folder)
    viewer.layers.remove(plain)
    (image,) = viewer.open(cells)
    image.data = image.data[:, ::-1]
    assert "is not what" in run(dock, qtbot, folder)
    image.data = image.data[:, :100]
    assert "is not what" in run(dock, qtbot, folder)
    assert not labels(viewer)
    assert not folder.exists()


def test_faults_are_said(viewer, dock, qtbot, cells, folder, monkeypatch):
    viewer.open(cells)
    monkeypatch.setattr("napari_biomedparse.scale.cluster.PATIENCE", 1)
    assert "No Dask scheduler answers at tcp://127.0.0.1:9" in run(dock, qtbot, folder, scheduler="tcp://127.0.0.1:9")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("napari_biomedparse.scale.scratch.put", full)
        assert "The disk is full" in run(dock, qtbot, folder)
    folder.with_name("file").write_text("")
    assert "file" in run(dock, qtbot, folder.with_name("file") / "below")
    assert not labels(viewer)


def test_channels_lie_where_the_layer_has_them(viewer, dock, qtbot, tmp_path, fluorescence, folder):
    """An ImageJ file keeps channels after z; its labels are the same for all channels, for any reader's order."""
    plane = fluorescence[0][:96, :96]
    data = np.stack([np.stack([plane // 2, plane]), np.stack([plane[::-1], plane.T])])
    path = tmp_path / "two.tif"
    tifffile.imwrite(path, data, metadata={"axes": "ZCYX"}, imagej=True)
    layer = viewer.add_layer(Image(data, axis_labels=("z", "c", "y", "x")))
    layer._source = layer.source.model_copy(update={"path": str(path)})
    viewer.dims.set_point(1, 1)
    expected = parsed(viewer, dock, qtbot)
    run(dock, qtbot, folder)
    (made,) = labels(viewer)
    assert isinstance(made.data, da.Array)
    np.testing.assert_array_equal(finest(made), expected.data)


def test_deleting_layers_and_closing_the_dock_is_safe(viewer, qtbot, cells, folder, often):
    container, dock = viewer.window.add_plugin_dock_widget("napari-biomedparse", "Segment with words")
    viewer.open(cells)
    say(dock, folder)
    begin(dock)
    qtbot.waitUntil(lambda: bool(labels(viewer)), timeout=RUN)
    viewer.layers.clear()
    wait(dock, qtbot)
    (layer,) = labels(viewer)
    assert finest(layer).any()
    viewer.layers.clear()
    viewer.open(cells)
    say(dock, folder.with_name("other"))
    begin(dock)
    run_now = dock.to_disk._run
    viewer.window.remove_dock_widget(container)
    assert run_now.stopped.is_set()
    assert not dock.to_disk.running
    qtbot.wait(500)
    assert not labels(viewer)


def test_a_cluster_does_the_work(viewer, dock, qtbot, cells, folder):
    distributed = pytest.importorskip("distributed")
    viewer.open(cells)
    expected = parsed(viewer, dock, qtbot)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        run(dock, qtbot, folder, scheduler=cluster.scheduler_address)
    (layer,) = labels(viewer)
    np.testing.assert_array_equal(finest(layer), expected.data)


def test_a_cluster_without_workers_can_be_cancelled(viewer, dock, qtbot, cells, folder):
    distributed = pytest.importorskip("distributed")
    viewer.open(cells)
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster:
        say(dock, folder, scheduler=cluster.scheduler_address)
        begin(dock)
        qtbot.waitUntil((folder / "recipe.json").exists, timeout=RUN)
        dock.findChild(QPushButton, "cancel").click()
        wait(dock, qtbot)
    assert "Cancelled" in status(dock)


def test_a_dock_that_is_deleted_stops_its_run(viewer, qtbot, cells, folder):
    """As the dock is when the whole window is closed."""
    dock = ParseDock(viewer)
    viewer.open(cells)
    say(dock, folder)
    begin(dock)
    work = dock.to_disk
    qtbot.waitUntil(lambda: bool(labels(viewer)), timeout=RUN)
    viewer.layers.clear()
    dock.deleteLater()
    qtbot.waitUntil(lambda: not work.running, timeout=5000)
    qtbot.wait(500)
    assert not labels(viewer)
