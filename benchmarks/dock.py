"""How the dock feels: a step of the threshold slider, the event loop while a run is going on, and how long that takes.

    python benchmarks/dock.py

Needs a display (Xvfb will do). Prints tables in Markdown.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication, QPushButton
from skimage.io import imread

from napari_biomedparse.plugin.dock import ParseDock

SAMPLE = Path(__file__).parents[1] / "resources/samples/fluorescent_nuclei.png"
SIDE = 2048
STEPS = 30
TICK = 5


def tiled(side: int) -> NDArray[np.uint8]:
    """Return a real picture, mirrored to a square."""
    picture = imread(SAMPLE)
    repeats = [-(-side // length) for length in picture.shape]
    block = np.block([[picture, picture[:, ::-1]], [picture[::-1], picture[::-1, ::-1]]])
    return np.tile(block, [-(-n // 2) for n in repeats])[:side, :side]


def wait(until: Callable[[], bool]) -> None:
    """Let the window live until something is true."""
    loop, timer = QEventLoop(), QTimer()
    timer.timeout.connect(lambda: loop.quit() if until() else None)
    timer.start(5)
    if not until():
        loop.exec()


def slider(dock: ParseDock) -> tuple[float, float]:
    """Return the median milliseconds of a slider's step: until it returns, and until it is drawn."""
    returned, drawn = [], []
    for step in range(STEPS):
        start = time.perf_counter()
        dock.threshold.setValue(0.3 + 0.01 * step)
        returned.append(time.perf_counter() - start)
        QApplication.processEvents()
        drawn.append(time.perf_counter() - start)
        dock._settle_timer.stop()
    return 1e3 * statistics.median(returned), 1e3 * statistics.median(drawn)


def event_loop(start: Callable[[], None], done: Callable[[], bool]) -> list[float]:
    """Return the milliseconds that a timer of 5 ms came late while something runs."""
    late: list[float] = []
    last = time.perf_counter()

    def tick() -> None:
        nonlocal last
        now = time.perf_counter()
        late.append(1e3 * (now - last) - TICK)
        last = now

    timer = QTimer()
    timer.setInterval(TICK)
    timer.timeout.connect(tick)
    start()
    last = time.perf_counter()
    timer.start()
    wait(done)
    timer.stop()
    return late


def with_and_without(dock: ParseDock, picture: NDArray[np.uint8]) -> tuple[float, float]:
    """Return the seconds of a run in the window, and of the model's work on the same picture alone."""
    predictor = dock._session._predictor
    predictor.cache.clear()
    start = time.perf_counter()
    dock.parse.click()
    wait(lambda: not dock.controller.running)
    in_window = time.perf_counter() - start
    # Another layer would take its time to draw in the next run.
    dock.findChild(QPushButton, "undo").click()
    predictor.cache.clear()
    start = time.perf_counter()
    predictor.segment(picture, ["nuclei"])
    return in_window, time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    viewer = napari.Viewer()
    viewer.window.resize(1500, 950)
    _, dock = viewer.window.add_plugin_dock_widget("napari-biomedparse", "Segment with words")
    picture = tiled(SIDE)
    viewer.add_image(picture, name="large")
    dock.chips.set_prompts(["nuclei"])
    # The model is loaded by a first run.
    dock.parse.click()
    wait(lambda: not dock.controller.running)
    rows = []
    for instances in (False, True):
        dock.objects.instances.setChecked(instances)
        wait(lambda: not dock._settle_timer.isActive() and dock.controller._painter is None)
        dock._session._predictor.cache.clear()
        late = event_loop(dock.parse.click, lambda: not dock.controller.running)
        what = "separate objects" if instances else "nuclei"
        rows.append((what, len(late), np.percentile(late, 50), np.percentile(late, 99), max(late)))
    dock.objects.instances.setChecked(False)
    wait(lambda: not dock._settle_timer.isActive() and dock.controller._painter is None)
    returned, drawn = slider(dock)
    runs = [with_and_without(dock, picture) for _ in range(3)]
    print(f"| slider on {SIDE} x {SIDE} | ms |\n| --- | --- |")
    print(f"| step until the labels are set | {returned:.1f} |\n| step until they are drawn | {drawn:.1f} |\n")
    print("| run of | ticks | late by, median ms | 99 % ms | most ms |\n| --- | --- | --- | --- | --- |")
    for what, count, median, high, most in rows:
        print(f"| {what} | {count} | {median:.1f} | {high:.1f} | {most:.1f} |")
    print("\n| run in the window, s | the model alone, s | ratio |\n| --- | --- | --- |")
    for in_window, alone in runs:
        print(f"| {in_window:.1f} | {alone:.1f} | {in_window / alone:.2f} |")
    viewer.close()


if __name__ == "__main__":
    main()
