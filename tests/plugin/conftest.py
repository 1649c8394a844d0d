"""A real napari window and the dock in it."""

import pytest


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def dock(viewer):
    _, widget = viewer.window.add_plugin_dock_widget("napari-biomedparse", "Segment with words")
    return widget
