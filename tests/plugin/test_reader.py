"""Labels in OME-Zarr, opened as napari's File menu does."""

import json
import subprocess
import sys

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import zarr
from dask.callbacks import Callback

from napari_biomedparse.io.export import Export, export
from napari_biomedparse.io.label_store import MOST_NAMED, LabelStore
from napari_biomedparse.io.read import ReadError
from napari_biomedparse.ontology.palette import shade
from napari_biomedparse.plugin.examples import names_of
from napari_biomedparse.plugin.reader import SHADES, get_reader
from tests.io.results import COLOURS, NAMES, SPACING

PLUGIN = "napari-biomedparse"
PROMPTS = {"nuclei": (1.0, 0.0, 0.0, 1.0), "Fluxkondensator <µ>": (0.0, 0.5, 1.0, 0.5)}


@pytest.fixture
def labels():
    """Three sections with the labels 1, 2 and 5 and one that has no name."""
    labels = np.zeros((3, 600, 700), np.uint32)
    labels[:, 10:100, 20:120] = 1
    labels[1:, 200:300, 50:90] = 2
    labels[:, 400:, 500:] = 5
    labels[2, 0, 0] = 9
    return labels


def write(path, labels, names=NAMES, colours=COLOURS, finished=True, axes="ZYX", **about):
    store = LabelStore.create(path, axes, labels.shape, labels.dtype, shard=256, chunk=64)
    for block in store.blocks(0):
        store.write(block, labels[(*block.place, block.rows, block.columns)])
    for level in range(1, len(store.levels)):
        for block in store.blocks(level):
            store.coarsen(block)
    if finished:
        store.finish(names, colours, SPACING, "µm", "cells", PROMPTS, about)
    return path


def shaded(own, label):
    """The shade, 0-255, of a label among very many."""
    return [round(255 * part) for part in shade(tuple(part / 255 for part in own), label % SHADES)]


def colour(layer, label):
    return np.round(np.asarray(layer.get_color(label)) * 255).astype(int).tolist()


def test_finished_labels_open_with_all_that_is_known(viewer, tmp_path, labels):
    path = write(tmp_path / "scan.ome.zarr", labels, recipe="{}", modality="CT")
    (layer,) = viewer.open(path, plugin=PLUGIN)
    assert (type(layer).__name__, layer.name, layer.multiscale) == ("Labels", "cells", True)
    assert all(isinstance(level, da.Array) for level in layer.data)
    for level in layer.data:
        np.testing.assert_array_equal(np.asarray(level), labels)
        labels = labels[:, ::2, ::2]
    assert layer.scale.tolist() == [2, 0.5, 0.25]
    assert layer.translate.tolist() == [0, 0, 0]
    assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
    assert layer.axis_labels == ("z", "y", "x")
    assert [colour(layer, label) for label in (1, 2, 5)] == [[255, 0, 0, 255], [0, 128, 255, 128], [204, 0, 0, 255]]
    # What has no colour of its own is seen all the same.
    assert colour(layer, 9) == [128, 128, 128, 255]
    assert layer.features.to_dict("list") == {"index": [1, 2, 5], "prompt": list(NAMES.values())}
    assert names_of(layer) == NAMES
    about = layer.metadata["napari-biomedparse"]
    assert (about["recipe"], about["modality"]) == ("{}", "CT")


def test_what_is_shown_are_the_colours(viewer, tmp_path, labels):
    viewer.open(write(tmp_path / "scan.ome.zarr", labels), plugin=PLUGIN)
    viewer.layers[0].opacity = 1
    picture = viewer.screenshot(canvas_only=True, flash=False)
    shown = {tuple(part) for part in picture.reshape(-1, 4)[:, :3].tolist()}
    assert {(255, 0, 0), (204, 0, 0)} <= shown


def test_only_what_is_looked_at_is_read(viewer, tmp_path):
    large = np.zeros((4096, 4096), np.uint8)
    large[2000:2100, 2000:2100] = 1
    path = write(tmp_path / "large.ome.zarr", large, axes="YX")
    computed = []
    with Callback(posttask=lambda key, *_: computed.append(key)):
        (layer,) = viewer.open(path, plugin=PLUGIN)
        viewer.reset_view()
    assert 0 < len(set(computed)) < layer.data[0].npartitions / 4


def test_the_table_beside_gives_the_features(viewer, tmp_path, labels):
    path = write(tmp_path / "scan.ome.zarr", labels)
    table = pd.DataFrame({"label": [5, 1, 2], "prompt": ["nuclei", "nuclei", "x"], "area_um2": [3.0, 2.0, None]})
    table.to_parquet(tmp_path / "scan.parquet")
    (layer,) = viewer.open(path, plugin=PLUGIN)
    assert layer.features["index"].tolist() == [5, 1, 2]
    assert list(layer.features.columns) == ["index", "label", "prompt", "area_um2"]
    # The row of the label, not of that number.
    status = layer.get_status((2 * 1, 0.5 * 50, 0.25 * 50), world=True)["value"]
    assert "label: 1, prompt: nuclei, area_um2: 2" in status


def test_a_table_of_something_else_is_left_alone(viewer, tmp_path, labels):
    path = write(tmp_path / "scan.ome.zarr", labels)
    pd.DataFrame({"name": ["a"]}).to_parquet(tmp_path / "scan.parquet")
    (layer,) = viewer.open(path, plugin=PLUGIN)
    assert layer.features["prompt"].tolist() == list(NAMES.values())
    (tmp_path / "scan.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(ReadError, match=r"scan\.parquet cannot be read.*move it away"):
        viewer.open(path, plugin=PLUGIN)


@pytest.mark.parametrize("highest", [MOST_NAMED + 1, 70_000])
def test_very_many_labels_have_the_colours_of_their_prompts(viewer, tmp_path, highest):
    values = np.zeros((300, 300), np.uint32)
    values.flat[: highest + 1] = np.arange(highest + 1)
    values[-10:] = highest
    numbers = np.arange(1, highest + 1)
    prompts = np.where(numbers % 2, "nuclei", "Fluxkondensator <µ>").astype(object)
    prompts[6] = "liver"
    path = write(tmp_path / "scan.ome.zarr", values, dict(zip(numbers.tolist(), prompts, strict=True)), {}, axes="YX")
    pd.DataFrame({"label": numbers, "prompt": prompts}).to_parquet(tmp_path / "scan.parquet")
    (layer,) = viewer.open(path, plugin=PLUGIN)
    red, blue = [255, 0, 0, 255], [0, 128, 255, 128]
    last = red if highest % 2 else blue
    expected = {
        label: shaded(own, label) for label, own in ((highest, last), (1, red), (2, blue), (3, red), (10_000, blue))
    }
    assert {label: colour(layer, label) for label in expected} == expected
    assert len({tuple(colour(layer, label)) for label in range(11, 21)}) == 10
    assert colour(layer, 7) not in (shaded(red, 7), shaded(blue, 7), [128, 128, 128, 255])
    assert len(layer.features) == highest
    layer.opacity = 1
    picture = viewer.screenshot(canvas_only=True, flash=False)
    shown = {tuple(part) for part in picture.reshape(-1, 4)[:, :3].tolist()}
    *own, alpha = expected[highest]
    assert tuple(round(part * alpha / 255) for part in own) in shown
    layer.selected_label, layer.show_selected_label = highest, True
    assert colour(layer, highest) == expected[highest]


def test_labels_far_above_all_others_open_in_colours_of_napari(viewer, tmp_path, labels):
    labels[0, 0, 0] = 2**32 - 1
    path = write(tmp_path / "scan.ome.zarr", labels, {2**32 - 1: "nuclei"}, {2**32 - 1: COLOURS[1]})
    (layer,) = viewer.open(path, plugin=PLUGIN)
    assert names_of(layer) == {2**32 - 1: "nuclei"}
    assert colour(layer, 1) != colour(layer, 2)


def test_labels_of_a_whole_result_open_too(viewer, tmp_path, labels):
    result = Export(labels[np.newaxis], "TZYX", NAMES, COLOURS, SPACING, "µm", "cells")
    (layer,) = viewer.open(export(result, tmp_path / "Result.OME.ZARR"), plugin=PLUGIN)
    assert layer.scale.tolist() == [30, 2, 0.5, 0.25]
    assert [str(unit) for unit in layer.units] == ["second", *["micrometer"] * 3]
    assert names_of(layer) == NAMES
    assert colour(layer, 2) == [0, 128, 255, 128]


def test_a_small_plane_has_one_level(viewer, tmp_path):
    plane = np.eye(50, dtype=np.uint8)
    (layer,) = viewer.open(write(tmp_path / "small.ome.zarr", plane, axes="YX"), plugin=PLUGIN)
    assert not layer.multiscale
    np.testing.assert_array_equal(np.asarray(layer.data), plane)


def old_labels(path, **label):
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("s0", data=np.eye(60, dtype=np.uint16))
    steps = [{"type": "scale", "scale": [0.5, 0.25]}, {"type": "translation", "translation": [10, 20]}]
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "axes": [{"name": "y", "type": "space", "unit": "micrometer"}, {"name": "x", "type": "space"}],
            "datasets": [{"path": "s0", "coordinateTransformations": steps}],
            "coordinateTransformations": [{"type": "scale", "scale": [2, 2]}],
        }
    ]
    group.attrs["image-label"] = {"version": "0.4", **label}
    return path


def test_labels_of_version_04_open(viewer, tmp_path):
    path = old_labels(tmp_path / "old.ome.zarr", colors=[{"label-value": 1, "rgba": [0, 255, 0, 255]}])
    (layer,) = viewer.open(path, plugin=PLUGIN)
    assert (layer.name, layer.axis_labels) == ("old", ("y", "x"))
    assert layer.scale.tolist() == [1, 0.5]
    assert layer.translate.tolist() == [20, 40]
    assert [str(unit) for unit in layer.units] == ["micrometer", "pixel"]
    assert colour(layer, 1) == [0, 255, 0, 255]


def test_unfinished_labels_say_so(viewer, tmp_path, labels):
    path = write(tmp_path / "scan.ome.zarr", labels, finished=False)
    with pytest.raises(ReadError, match=r"scan\.ome\.zarr is not finished.*Run what writes them again"):
        viewer.open(path, plugin=PLUGIN)
    assert len(viewer.layers) == 0


def test_damaged_labels_say_so(viewer, tmp_path, labels):
    path = write(tmp_path / "scan.ome.zarr", labels)
    (path / "1" / "zarr.json").unlink()
    with pytest.raises(ReadError, match="damaged"):
        viewer.open(path, plugin=PLUGIN)


def test_everything_else_is_left_to_others(viewer, tmp_path, labels):
    image = zarr.open_group(tmp_path / "image.ome.zarr", mode="w", zarr_format=3)
    image.create_array("0", data=np.eye(60))
    image.attrs["ome"] = {"version": "0.5", "multiscales": [{"datasets": [{"path": "0"}]}]}
    (tmp_path / "empty.ome.zarr").mkdir()
    (tmp_path / "torn.ome.zarr").mkdir()
    (tmp_path / "torn.ome.zarr" / "zarr.json").write_text("{")
    (tmp_path / "list.ome.zarr").mkdir()
    (tmp_path / "list.ome.zarr" / ".zattrs").write_text(json.dumps(["image-label"]))
    for name in ("image.ome.zarr", "empty.ome.zarr", "torn.ome.zarr", "list.ome.zarr", "none.ome.zarr", "."):
        assert get_reader(str(tmp_path / name)) is None
    path = str(write(tmp_path / "scan.ome.zarr", labels))
    assert get_reader([path, path]) is None
    assert get_reader(path) is not None
    (layer,) = viewer.open(tmp_path / "image.ome.zarr", plugin="napari")
    assert type(layer).__name__ == "Image"


def test_opening_does_not_import_torch(tmp_path, labels):
    path = write(tmp_path / "scan.ome.zarr", labels)
    code = (
        "import sys; from napari_biomedparse.plugin.reader import SHADES, get_reader; "
        f"((_, settings, kind),) = get_reader({str(path)!r})({str(path)!r}); "
        "print(kind, settings['name'], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "labels cells False\n", done.stderr
