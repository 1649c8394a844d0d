"""Take the README's pictures: python docs/take_pictures.py [NAME ...] (under xvfb-run where there is no display)."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

# Settings of their own, so that the pictures do not depend on the user's.
os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp()) / "settings.yaml")
os.environ["NAPARI_BIOMEDPARSE_CONFIG"] = tempfile.mkdtemp()

import napari
import numpy as np
from qtpy.QtCore import QEventLoop, QTimer

from napari_biomedparse.plugin.dock import ParseDock
from napari_biomedparse.plugin.settings import Settings

IMAGES = Path(__file__).parent / "images"


def pause(milliseconds: int) -> None:
    """Let the window and the work in the background go on."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def opened(sample: str | None) -> tuple[napari.Viewer, ParseDock]:
    """Open a window with the dock and a sample."""
    viewer = napari.Viewer()
    viewer.window.resize(1400, 900)
    if sample:
        viewer.open_sample("napari-biomedparse", sample)
    _, dock = viewer.window.add_plugin_dock_widget("napari-biomedparse", "Segment with words")
    # Every picture begins with the settings of a first start.
    dock._restore(Settings())
    pause(1000)
    return viewer, dock


def wait(dock: ParseDock) -> None:
    """Wait until nothing runs any more."""
    while dock.controller.running or dock.actions.busy or dock.boxes.busy or dock._settle_timer.isActive():
        pause(100)
    pause(1500)


def ask(dock: ParseDock, *prompts: str) -> None:
    """Parse prompts and wait for the answer."""
    dock.chips.set_prompts(prompts)
    dock.parse.click()
    wait(dock)


def empty() -> napari.Viewer:
    """Show the dock before anything was opened."""
    return opened(None)[0]


def running() -> napari.Viewer:
    """Show a run half-way on a large image: the middle of the view is done first."""
    viewer, dock = opened("large_histology")
    dock.scope.choose("visible")
    viewer.camera.zoom = 0.7
    pause(500)
    dock.chips.set_prompts(["cell nuclei"])
    dock.parse.click()
    while dock.controller.running and dock.controller.result is None:
        pause(50)
    pause(300)
    return viewer


def fluorescence() -> napari.Viewer:
    """Show separate nuclei with their boxes."""
    viewer, dock = opened("fluorescent_nuclei")
    dock.objects.instances.setChecked(True)
    dock.boxes.setChecked(True)
    ask(dock, "nuclei", "cytoplasm")
    return viewer


def histology() -> napari.Viewer:
    """Show everything that is recognised on a section."""
    viewer, dock = opened("histology")
    dock.recognize.click()
    wait(dock)
    return viewer


def xray() -> napari.Viewer:
    """Show left and right lung, and the words that are not known."""
    viewer, dock = opened("chest_xray")
    ask(dock, "left lung", "right lung", "lnug")
    return viewer


def stack() -> napari.Viewer:
    """Show a stack in 3D."""
    viewer, dock = opened("heart_mri")
    dock.scope.choose("z")
    ask(dock, "left heart ventricle")
    image = viewer.layers[0]
    for layer in viewer.layers:
        layer.scale = (6, 1, 1)
    image.opacity = 0.6
    viewer.dims.ndisplay = 3
    viewer.reset_view()
    viewer.camera.angles = (-20, 30, 130)
    pause(1000)
    return viewer


def measured() -> napari.Viewer:
    """Show the table of measurements."""
    viewer, dock = opened("fluorescent_nuclei")
    dock.objects.instances.setChecked(True)
    ask(dock, "nuclei")
    dock.buttons.measure.click()
    wait(dock)
    return viewer


def error() -> napari.Viewer:
    """Show how an image that cannot be parsed is refused."""
    viewer, dock = opened(None)
    viewer.add_image(np.full((64, 64), np.nan, np.float32), name="ratio", contrast_limits=(0, 1))
    ask(dock, "nuclei")
    return viewer


def light() -> napari.Viewer:
    """Show a result in napari's light theme."""
    viewer = xray()
    viewer.theme = "light"
    pause(1000)
    return viewer


PICTURES: dict[str, Callable[[], napari.Viewer]] = {
    made.__name__: made for made in (empty, running, fluorescence, histology, xray, stack, measured, error, light)
}

if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    for name in sys.argv[1:] or PICTURES:
        viewer = PICTURES[name]()
        viewer.screenshot(str(IMAGES / f"{name}.png"), canvas_only=False, flash=False)
        viewer.window._qt_window.findChild(ParseDock).controller.cancel()
        pause(300)
        viewer.close()
