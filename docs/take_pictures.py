"""Take the README's pictures: python docs/take_pictures.py (under xvfb-run where there is no display)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# Settings of their own, so that the pictures do not depend on the user's.
os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp()) / "settings.yaml")

import napari
from qtpy.QtTest import QTest

IMAGES = Path(__file__).parent / "images"
PICTURES = {
    "fluorescence": ("fluorescent_nuclei", "nuclei", True),
    "histology": ("histology", "cell nuclei", False),
}


def take(sample: str, prompt: str, boxes: bool, path: Path) -> None:
    """Open a sample, parse a prompt, show boxes or not, and save a picture of the whole window."""
    viewer = napari.Viewer()
    viewer.window.resize(1300, 800)
    viewer.open_sample("napari-biomedparse", sample)
    _, dock = viewer.window.add_plugin_dock_widget("napari-biomedparse", "Segment with words")
    QTest.qWait(1000)
    dock.prompt.setText(prompt)
    dock.boxes.setChecked(boxes)
    dock.parse.click()
    while dock.cancel.isEnabled():
        QTest.qWait(100)
    viewer.reset_view()
    QTest.qWait(1000)
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    viewer.close()


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    for name, (sample, prompt, boxes) in PICTURES.items():
        take(sample, prompt, boxes, IMAGES / f"{name}.png")
