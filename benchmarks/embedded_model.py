"""How long the embedded model takes: python benchmarks/embedded_model.py

Measures, on this machine's CPU: the import, the command line from a cold start with its peak memory, and a second
prompt on an encoded image against the first. Prints the table of benchmarks/RESULTS.md.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from skimage.io import imread, imsave

from napari_biomedparse import Predictor

SAMPLE = Path(__file__).parents[1] / "resources/samples/fluorescent_nuclei.png"
SIDE = 512
REPEATS = 5


def seconds(action: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def measure_import() -> float:
    """Median seconds that importing the package adds to starting Python."""

    def start(code: str) -> float:
        return seconds(lambda: subprocess.run([sys.executable, "-c", code], check=True))

    rounds = [(start("pass"), start("import napari_biomedparse")) for _ in range(REPEATS)]
    return statistics.median(full - bare for bare, full in rounds)


def measure_command(image: Path, folder: Path) -> tuple[float, float]:
    """Median seconds and peak GiB of the command with two prompts, each time in a new process."""
    command = [sys.executable, "-m", "napari_biomedparse", "segment", image, "--overwrite", "--device", "cpu"]
    command += ["--prompt", "nuclei", "--prompt", "left lung", "--output", folder]
    run = [seconds(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(REPEATS)]
    return statistics.median(run), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


def measure_prompts(pixels: np.ndarray, first: str, second: str) -> tuple[float, float]:
    """Median seconds of a first prompt, which encodes the image, and of a second one."""
    predictor = Predictor.from_pretrained("mini", device="cpu")
    predictor.segment(pixels, [first])
    rounds = [_ask_two(predictor, pixels, first, second) for _ in range(REPEATS)]
    return statistics.median(a for a, _ in rounds), statistics.median(b for _, b in rounds)


def _ask_two(predictor: Predictor, pixels: np.ndarray, first: str, second: str) -> tuple[float, float]:
    # Otherwise the image would be known from the round before.
    predictor.cache.clear()
    began = time.perf_counter()
    encoded = predictor.encode(pixels, scales=())
    predictor.segment(encoded, [first])
    return time.perf_counter() - began, seconds(lambda: predictor.segment(encoded, [second]))


def measure_three(pixels: np.ndarray) -> float:
    """Return the seconds for an organ, a tissue and a cell on an image not seen before."""
    predictor = Predictor.from_pretrained("mini", device="cpu")

    def ask() -> None:
        predictor.cache.clear()
        predictor.segment(pixels, ["left lung", "vessel", "nuclei"])

    return seconds(ask)


def main() -> None:
    """Measure and print."""
    pixels = np.tile(imread(SAMPLE), (2, 2))[:SIDE, :SIDE]
    rows = [("import napari_biomedparse", f"{measure_import():.3f} s", "under 0.3 s")]
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.png"
        imsave(image, pixels)
        took, memory = measure_command(image, Path(folder) / "out")
    rows.append((f"`segment`, {SIDE} x {SIDE}, two prompts, cold start", f"{took:.1f} s", "at most 12 s"))
    rows.append(("peak memory of that", f"{memory:.2f} GiB", "at most 2 GiB"))
    rows.append(
        (f"{SIDE} x {SIDE}, prompts of three scales, once loaded", f"{measure_three(pixels):.2f} s", "at most 1.5 s")
    )
    for scale, prompts in {"cell": ("nuclei", "cell nuclei"), "organ": ("left lung", "spleen")}.items():
        first, second = measure_prompts(pixels, *prompts)
        figure = f"{second:.3f} s / {first:.3f} s = {second / first:.3f}"
        rows.append((f"second prompt / first prompt, {scale} scale", figure, "at most 0.1"))
    print("| what | measured | wanted |\n| --- | --- | --- |")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
