"""A real napari window and the dock in it."""

import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def old_objects():
    """What was there before is not looked at again each time napari's fixture collects garbage: half of its time."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def dock(viewer):
    _, widget = viewer.window.add_plugin_dock_widget("napari-biomedparse", "Segment with words")
    return widget
