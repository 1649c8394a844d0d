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
from skimage.io import imread, imsave
from superqt import QCollapsible

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


def to_disk() -> napari.Viewer:
    """Show a run over a file, whose labels grow while they are written."""
    viewer, dock = opened(None)
    grey = imread(IMAGES.parents[1] / "resources/samples/fluorescent_nuclei.png")
    pixels = np.pad(grey, ((0, 2000 - grey.shape[0]), (0, 5600 - grey.shape[1])), mode="symmetric")
    folder = Path(tempfile.mkdtemp())
    imsave(folder / "slide.tif", pixels, check_contrast=False)
    viewer.open(folder / "slide.tif")
    next(section for section in dock.findChildren(QCollapsible) if section.text() == "Run to disk").expand()
    dock.chips.set_prompts(["nuclei"])
    dock.disk.folder_line.setText(str(folder / "results"))
    dock.disk.run.click()
    while dock.to_disk.running and not any(layer.name.endswith("growing") for layer in viewer.layers):
        pause(100)
    growing = viewer.layers[-1]
    while dock.to_disk.running and not np.asarray(growing.data).any():
        pause(1000)
    pause(2000)
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
    made.__name__: made
    for made in (empty, running, to_disk, fluorescence, histology, xray, stack, measured, error, light)
}

if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    for name in sys.argv[1:] or PICTURES:
        viewer = PICTURES[name]()
        viewer.screenshot(str(IMAGES / f"{name}.png"), canvas_only=False, flash=False)
        dock = viewer.window._qt_window.findChild(ParseDock)
        dock.controller.cancel()
        dock.to_disk.cancel()
        while dock.to_disk.running:
            pause(100)
        pause(300)
        viewer.close()
