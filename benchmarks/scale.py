"""What running over files costs: python benchmarks/scale.py [--side 20000]

Measures, on this machine's CPU with one thread for each process: the engine called in a plain loop against the same
planes run block by block in the same process, two workers against one, and the peak memory of a worker on an image of
--side pixels, of which a tenth is tissue and the rest empty. Prints the tables of benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import torch
import zarr
from skimage.io import imread

from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.recipe import Recipe
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.scale.cluster import local_workers
from napari_biomedparse.scale.inputs import jobs_of, with_weights
from napari_biomedparse.scale.study import Here, Pool, Progress, run

SAMPLES = Path(__file__).parents[1] / "resources/samples"
PLANES, SIDE = 8, 1000


def mirrored(shape: tuple[int, int]) -> np.ndarray:
    """A real image, mirrored until it fills a shape."""
    grey = imread(SAMPLES / "fluorescent_nuclei.png")
    grey = grey if grey.ndim == 2 else grey[..., 0]
    pair = np.block([[grey, grey[:, ::-1]], [grey[::-1], grey[::-1, ::-1]]])
    times = [-(-side // length) for side, length in zip(shape, pair.shape, strict=True)]
    return np.tile(pair, times)[: shape[0], : shape[1]]


def stored(path: Path, shape: tuple[int, ...], tissue: tuple[int, int]) -> Path:
    """An OME-Zarr of one level with tissue in a corner of each plane."""
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    axes = "zyx"[-len(shape) :]
    array = group.create_array("0", shape=shape, dtype="uint8", chunks=(*(1,) * (len(shape) - 2), 1000, 1000))
    for number in range(shape[0] if len(shape) == 3 else 1):
        at = (number,) if len(shape) == 3 else ()
        array[(*at, slice(0, tissue[0]), slice(0, tissue[1]))] = np.roll(mirrored(tissue), 37 * number, axis=0)
    steps = [{"type": "scale", "scale": [1.0] * len(shape)}]
    scales = {
        "axes": [{"name": letter, "type": "space"} for letter in axes],
        "datasets": [{"path": "0", "coordinateTransformations": steps}],
    }
    group.attrs["ome"] = {"version": "0.5", "multiscales": [scales]}
    return path


def timed(image: Path, folder: Path, pool: Pool) -> tuple[float, float]:
    """Seconds of a whole run, and of its looking alone."""
    recipe = with_weights(Recipe(Selection("YX"), ("nuclei",), paint=Paint(instances=True)))
    jobs, unread = jobs_of([image], recipe, folder, "cpu")
    assert not unread
    looked: list[float] = []

    def tell(progress: Progress) -> None:
        if progress.pixels and (not looked or (len(looked) == 1 and progress.looked == progress.pixels)):
            looked.append(time.perf_counter())

    began = time.perf_counter()
    (outcome,) = run(jobs, pool, tell)
    assert outcome.error is None, outcome.error
    return time.perf_counter() - began, looked[1] - looked[0]


def in_a_plain_loop(image: Path) -> float:
    """Seconds of asking the model about one plane after another, and parting what it finds."""
    from napari_biomedparse import Predictor

    predictor = Predictor.from_pretrained("mini", device="cpu")
    planes = zarr.open_group(str(image), mode="r")["0"]
    predictor.segment(np.asarray(planes[0][:128, :128]), ["nuclei"])
    began = time.perf_counter()
    for number in range(planes.shape[0]):
        plane = np.asarray(planes[number])
        (mask,) = predictor.segment(plane, ["nuclei"])
        mask.instances()
    return time.perf_counter() - began


def peak_of(action: Callable[[], float]) -> tuple[float, float]:
    """Largest GiB that one of this process's workers held while something was done, and its result."""
    peak, stop = [0.0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            for child in psutil.Process().children(recursive=True):
                try:
                    peak[0] = max(peak[0], child.memory_info().rss / 2**30)
                except psutil.NoSuchProcess:
                    continue

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    result = action()
    stop.set()
    watcher.join()
    return peak[0], result


def main() -> None:
    torch.set_num_threads(1)
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=20_000)
    side = parser.parse_args().side
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stack = stored(folder / "stack.ome.zarr", (PLANES, SIDE, SIDE), (SIDE, SIDE))
        pixels = PLANES * SIDE**2 / 1e6
        loop = in_a_plain_loop(stack)
        # A model that is loaded is no part of what is compared: each process has one from a run before.
        warm = stored(folder / "warm.ome.zarr", (PLANES, 128, 128), (128, 128))
        timed(warm, folder / "warm here", Here())
        here = timed(stack, folder / "here", Here())[0]
        rates = []
        for count in (1, 2):
            with local_workers(count) as pool:
                timed(warm, folder / f"warm{count}", pool)
                rates.append(pixels / timed(stack, folder / f"workers{count}", pool)[1])
        print("\n| what | measured | wanted |\n| --- | --- | --- |")
        print(f"| {PLANES} planes of {SIDE} x {SIDE} in a plain loop | {loop:.1f} s | |")
        print(f"| the same as a run over a file, over that | {here / loop:.2f} | at most 1.10 |")
        print(f"| one worker, one thread | {rates[0]:.3f} Mpx/s, {rates[0] * 1e6 / 96**2:.1f} tiles/s | |")
        print(f"| two workers over one | {rates[1] / rates[0]:.2f} | at least 1.7 |", flush=True)
        if not side:
            return
        tissue = round(side * 0.1**0.5)
        large = stored(folder / "large.ome.zarr", (side, side), (tissue, tissue))

        def large_run() -> float:
            with local_workers(2) as pool:
                return timed(large, folder / "large", pool)[0]

        peak, seconds = peak_of(large_run)
        written = sum(file.stat().st_size for file in (folder / "large").rglob("*") if file.is_file()) / 2**20
        print(f"| {side} x {side}, a tenth of it tissue, two workers | {seconds / 60:.1f} min | |")
        print(f"| peak memory of a worker | {peak:.2f} GiB | under 3 GiB |")
        print(f"| labels and table written | {written:.0f} MiB | |")


if __name__ == "__main__":
    main()
