"""Sample images, opened as napari's File menu does."""

from pathlib import Path

import numpy as np
import pytest
from dask.callbacks import Callback
from npe2 import PluginManifest

from tests.conftest import ROOT

PLUGIN = "napari-biomedparse"
FOLDER = ROOT / "resources/samples"
# Number of axes, and their names.
AXES = {
    "fluorescent_nuclei": ("y", "x"),
    "histology": ("y", "x"),
    "chest_xray": ("y", "x"),
    "heart_mri": ("z", "y", "x"),
    "heart_ultrasound": ("t", "y", "x"),
    "large_histology": ("y", "x"),
}


def keys() -> list[str]:
    samples = PluginManifest.from_file(ROOT / "napari.yaml").contributions.sample_data
    return [sample.key for sample in samples or []]


def test_every_sample_of_the_manifest_is_tested():
    assert set(keys()) == set(AXES)


@pytest.mark.parametrize("key", AXES)
def test_a_sample_opens(viewer, key):
    (layer,) = viewer.open_sample(PLUGIN, key)
    assert layer.axis_labels == AXES[key]
    assert layer.ndim == len(AXES[key])
    assert layer.rgb is ("histology" in key)
    pixels = np.asarray(layer.data[-1] if layer.multiscale else layer.data)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 10


def test_only_the_series_says_how_far_its_frames_are_apart(viewer):
    (series,) = viewer.open_sample(PLUGIN, "heart_ultrasound")
    assert series.scale.tolist() == [33.333, 1, 1]
    assert [str(unit) for unit in series.units] == ["millisecond", "pixel", "pixel"]
    assert len(series.data) == 30
    # It moves, though two frames repeat the one before, as in its source.
    moved = [(one != other).any() for one, other in zip(series.data[:-1], series.data[1:], strict=True)]
    assert sum(moved) == 27


def test_the_large_picture_is_computed_only_where_it_is_looked_at(viewer):
    computed = []
    with Callback(posttask=lambda key, *_: computed.append(key)):
        (layer,) = viewer.open_sample(PLUGIN, "large_histology")
        assert [level.shape for level in layer.data] == [(side, side, 3) for side in (8192, 4096, 2048, 1024)]
        viewer.scene.camera.zoom = 4
        viewer.scene.camera.center = (3000, 3000)
        layer.refresh()
    in_all = sum(np.prod(level.numblocks) for level in layer.data)
    assert 0 < len(set(computed)) < in_all / 4


def test_the_large_picture_is_the_small_one_and_its_mirror_images(viewer):
    (small,) = viewer.open_sample(PLUGIN, "histology")
    (large,) = viewer.open_sample(PLUGIN, "large_histology")
    height, width = small.data.shape[:2]
    whole = large.data[0]
    np.testing.assert_array_equal(whole[:height, :width], small.data)
    np.testing.assert_array_equal(whole[height : 2 * height, :width], small.data[::-1])
    np.testing.assert_array_equal(whole[:height, width : 2 * width], small.data[:, ::-1])
    np.testing.assert_array_equal(whole[2 * height : 3 * height, 2 * width : 3 * width], small.data)
    for finer, coarser in zip(large.data, large.data[1:], strict=False):
        part = np.asarray(finer[700:964, 700:964]).reshape(132, 2, 132, 2, 3).mean((1, 3))
        np.testing.assert_allclose(np.asarray(coarser[350:482, 350:482]), part, atol=1)


def test_every_file_is_small_and_told_of():
    told = (FOLDER / "README.md").read_text()
    sizes = {path.name: path.stat().st_size for path in Path(FOLDER).iterdir()}
    assert not [name for name in sizes if name != "README.md" and f"`{name}`" not in told]
    assert sum(sizes.values()) < 1_500_000
