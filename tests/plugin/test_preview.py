"""The picture of what the model sees, in a real window: read at rest, let go when the dock is closed."""

import dask.array as da
import numpy as np
import pytest
from qtpy.QtWidgets import QDockWidget

READ = 10_000


@pytest.fixture
def planes(viewer, dock):
    """A lazy stack of six planes, each brighter to the right; what was read of it; which plane cannot be read."""
    read, broken = [], set()

    def plane(block_info=None):
        z = block_info[None]["chunk-location"][0]
        read.append(z)
        if z in broken:
            raise OSError("The disk is gone.")
        return np.tile(np.arange(40, dtype=np.uint8), (1, 30, 1)) * np.uint8(1 + z)

    stack = da.map_blocks(plane, chunks=((1,) * 6, (30,), (40,)), dtype=np.uint8)
    viewer.add_image(stack, name="stack", contrast_limits=(0, 255))
    viewer.dims.set_current_step(0, 0)
    return read, broken


def look(dock, qtbot):
    dock._reading_section.expand()
    qtbot.waitUntil(lambda: not dock.reading.thumbnail.pixmap().isNull(), timeout=READ)


def test_a_slider_that_is_dragged_reads_the_plane_it_rests_on(viewer, dock, qtbot, planes):
    read, _ = planes
    look(dock, qtbot)
    shown = dock.reading.thumbnail.pixmap().cacheKey()
    # napari itself reads what it draws; the picture would read each of these once more.
    viewer.layers["stack"].visible = False
    read.clear()
    for z in range(1, 6):
        viewer.dims.set_current_step(0, z)
    qtbot.waitUntil(lambda: dock.reading.thumbnail.pixmap().cacheKey() != shown, timeout=READ)
    assert set(read) == {5}


def test_a_plane_that_cannot_be_read_has_no_picture(viewer, dock, qtbot, planes):
    _, broken = planes
    look(dock, qtbot)
    viewer.layers["stack"].visible = False
    broken.add(3)
    viewer.dims.set_current_step(0, 3)
    qtbot.waitUntil(lambda: dock.reading.thumbnail.pixmap().isNull(), timeout=READ)
    viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(lambda: not dock.reading.thumbnail.pixmap().isNull(), timeout=READ)


def test_nothing_is_read_after_the_dock_was_taken_out(viewer, dock, qtbot, planes):
    read, _ = planes
    look(dock, qtbot)
    viewer.layers["stack"].visible = False
    read.clear()
    viewer.dims.set_current_step(0, 4)
    container = dock.parent()
    while not isinstance(container, QDockWidget):
        container = container.parent()
    viewer.window.remove_dock_widget(container)
    viewer.dims.set_current_step(0, 5)
    qtbot.wait(400)
    assert not read
