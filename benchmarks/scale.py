"""What running over files costs: python benchmarks/scale.py [--side 20000] [--tissue 0.1] [--images 200]

Measures, on this machine's CPU with one thread for each process: the engine called in a plain loop against the same
planes run block by block in the same process; two workers against one; many small images; an image of --divided pixels
as a whole against the same in blocks; and, on an image of --side pixels, of which a part is tissue and the rest empty,
the peak memory of a worker and what is read, written and kept. A size of 0 leaves its part out. Prints the tables of
benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil
import torch
import zarr
from skimage.io import imread, imsave

from napari_biomedparse import Predictor
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.recipe import Recipe
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.io.label_store import LabelStore
from napari_biomedparse.scale.cluster import local_workers
from napari_biomedparse.scale.grid import BLOCK_BYTES, Grid
from napari_biomedparse.scale.inputs import jobs_of, with_weights
from napari_biomedparse.scale.study import Here, Pool, run

SAMPLES = Path(__file__).parents[1] / "resources/samples"
PLANES, SIDE = 4, 1000
# How often the ways are compared.
ROUNDS = 3
# Distance of the embedded model's tiles in pixels.
STRIDE = 96


def mirrored(shape: tuple[int, int]) -> np.ndarray:
    """A real image, mirrored until it fills a shape."""
    grey = imread(SAMPLES / "fluorescent_nuclei.png")
    grey = grey if grey.ndim == 2 else grey[..., 0]
    pair = np.block([[grey, grey[:, ::-1]], [grey[::-1], grey[::-1, ::-1]]])
    times = [-(-side // length) for side, length in zip(shape, pair.shape, strict=True)]
    return np.tile(pair, times)[: shape[0], : shape[1]]


def stored(path: Path, shape: tuple[int, ...], tissue: tuple[int, int], moved: int = 0) -> Path:
    """An OME-Zarr of one level with tissue in a corner of each plane, moved by some pixels against other images'."""
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    axes = "zyx"[-len(shape) :]
    array = group.create_array("0", shape=shape, dtype="uint8", chunks=(*(1,) * (len(shape) - 2), 1000, 1000))
    for number in range(shape[0] if len(shape) == 3 else 1):
        at = (number,) if len(shape) == 3 else ()
        array[(*at, slice(0, tissue[0]), slice(0, tissue[1]))] = np.roll(mirrored(tissue), moved + 37 * number, axis=0)
    steps = [{"type": "scale", "scale": [1.0] * len(shape)}]
    scales = {
        "axes": [{"name": letter, "type": "space"} for letter in axes],
        "datasets": [{"path": "0", "coordinateTransformations": steps}],
    }
    group.attrs["ome"] = {"version": "0.5", "multiscales": [scales]}
    return path


def timed(image: Path, folder: Path, pool: Pool) -> float:
    """Seconds of a run."""
    recipe = with_weights(Recipe(Selection("YX"), ("nuclei",), paint=Paint(instances=True)))
    jobs, unread = jobs_of([image], recipe, folder, "cpu")
    assert not unread
    began = time.perf_counter()
    (outcome,) = run(jobs, pool)
    assert outcome.error is None, outcome.error
    return time.perf_counter() - began


def in_a_plain_loop(image: Path) -> float:
    """Seconds of asking the model about one plane after another, and parting what it finds."""
    predictor = Predictor.from_pretrained("mini", device="cpu")
    planes = zarr.open_group(str(image), mode="r")["0"]
    # Not what follows: that would be known then.
    predictor.segment(np.asarray(planes[0])[::-1], ["nuclei"])
    began = time.perf_counter()
    for number in range(planes.shape[0]):
        plane = np.asarray(planes[number])
        (mask,) = predictor.segment(plane, ["nuclei"])
        mask.instances()
    return time.perf_counter() - began


@dataclass(frozen=True)
class Round:
    """Seconds that the same planes took, one way right after another.

    Attributes
    ----------
    loop, here
        In this process, in a plain loop and as a run over a file.
    one, two
        As a run with one worker and with two.
    loops
        How many times faster two processes in plain loops are than one.
    """

    loop: float
    here: float
    one: float
    two: float
    loops: float


def compared(warm: Path, stack: Path, folder: Path) -> Round:
    """Do the same in all ways."""
    loop = in_a_plain_loop(stack)
    timed(warm, folder / "warm here", Here())
    here = timed(stack, folder / "here", Here())
    seconds = []
    for count in (1, 2):
        with local_workers(count) as pool:
            timed(warm, folder / f"warm{count}", pool)
            seconds.append(timed(stack, folder / f"workers{count}", pool))
    # New processes: neither has more threads than the other, nor a model already.
    with get_context("spawn").Pool(2) as pool:
        (one,) = pool.map(in_a_plain_loop, [stack])
        two = pool.map(in_a_plain_loop, [stack, stack], chunksize=1)
    return Round(loop, here, *seconds, loops=2 * one / statistics.mean(two))


def middle(values: list[float]) -> str:
    """The median of some values, and the least and the most."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


@dataclass
class Watched:
    """What this process's workers took while something was done.

    Attributes
    ----------
    memory
        Most bytes that one of them held.
    read, written
        Bytes that all of them moved from and to files.
    scratch
        Most bytes that a folder had.
    """

    folder: Path
    memory: int = 0
    scratch: int = 0
    moved: dict[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def read(self) -> int:
        return sum(read for read, _ in self.moved.values())

    @property
    def written(self) -> int:
        return sum(written for _, written in self.moved.values())

    @contextmanager
    def watching(self) -> Iterator[None]:
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(0.5):
                self._look()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        yield
        stop.set()
        watcher.join()

    def _look(self) -> None:
        self.scratch = max(self.scratch, size_of(self.folder))
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                self.memory = max(self.memory, child.memory_info().rss)
                counters = child.io_counters()
                self.moved[child.pid] = counters.read_chars, counters.write_chars


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    sizes = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            sizes += path.stat().st_size if path.is_file() else 0
    return sizes


def small_images(folder: Path, count: int) -> float:
    """Seconds that each of many small images takes, beyond the model's work, with one worker that is there already."""
    folder.mkdir()
    for number in range(count):
        imsave(folder / f"{number}.tif", np.roll(mirrored((128, 128)), number, axis=1), check_contrast=False)
    recipe = with_weights(Recipe(Selection("YX"), ("nuclei",), paint=Paint(instances=True)))
    jobs, _ = jobs_of(sorted(folder.glob("*.tif")), recipe, folder / "results", "cpu")
    with local_workers(1) as pool:
        run(jobs[:1], pool)
        began = time.perf_counter()
        run(jobs[1:], pool)
        whole = time.perf_counter() - began
    predictor = Predictor.from_pretrained("mini", device="cpu")
    planes = [imread(job.path) for job in jobs]
    predictor.segment(planes[0], ["nuclei"])
    began = time.perf_counter()
    for plane in planes[1:]:
        (mask,) = predictor.segment(plane, ["nuclei"])
        mask.instances()
    return (whole - (time.perf_counter() - began)) / (count - 1)


def divided(folder: Path, side: int) -> tuple[float, int, int, int]:
    """How much of an image's labels is the same when it is cut into blocks.

    Returns the part of pixels that belong to the same object in both, objects of the undivided run, those of which less
    than nine tenths are one object of the other or that share one there, and the number of blocks.
    """
    image = folder / "whole.tif"
    pixels = mirrored((side, side))
    imsave(image, pixels, check_contrast=False)
    (mask,) = Predictor.from_pretrained("mini", device="cpu").segment(pixels, ["nuclei"])
    expected = mask.instances()
    recipe = with_weights(Recipe(Selection("YX"), ("nuclei",), paint=Paint(instances=True)))
    limit = BLOCK_BYTES // 10
    (job,), _ = jobs_of([image], recipe, folder / "divided", "cpu", block_bytes=limit)
    with local_workers(2) as pool:
        (outcome,) = run([job], pool)
    assert outcome.error is None, outcome.error
    labels = LabelStore.open(job.store).levels[0][...]
    codes, counts = np.unique(expected.ravel().astype(np.int64) << 32 | labels.ravel(), return_counts=True)
    pairs = np.stack([codes >> 32, codes & 0xFFFFFFFF])
    # Each object's counterpart is the label that has most of its pixels; the background counts as one.
    most = {int(pairs[0, place]): place for place in np.argsort(counts, kind="stable")}
    best = np.array(list(most.values()))
    areas = np.bincount(expected.ravel())
    cut = np.count_nonzero(counts[best] < 0.9 * areas[pairs[0, best]])
    merged = len(best) - len(np.unique(pairs[1, best]))
    blocks = Grid.plan((side, side), 1, STRIDE, limit).blocks
    return counts[best].sum() / labels.size, len(best) - 1, cut + merged, len(blocks)


def main() -> None:
    torch.set_num_threads(1)
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=20_000)
    parser.add_argument("--tissue", type=float, default=0.1)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--divided", type=int, default=5000)
    given = parser.parse_args()
    side = given.side
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stack = stored(folder / "stack.ome.zarr", (PLANES, SIDE, SIDE), (SIDE, SIDE))
        # What a process does once only, loading the model and making room for tiles, is no part of what is compared:
        # each has looked at another plane before.
        warm = stored(folder / "warm.ome.zarr", (2, SIDE, SIDE), (SIDE, SIDE), moved=5)
        # What the cores can do changes from minute to minute, so that one way after the other is repeated.
        rounds = [compared(warm, stack, folder / f"round{number}") for number in range(ROUNDS)]
        loop = statistics.median(found.loop for found in rounds)
        rate = PLANES * SIDE**2 / 1e6 / statistics.median(found.one for found in rounds)
        print("\n| what | measured | wanted |\n| --- | --- | --- |")
        print(f"| {PLANES} planes of {SIDE} x {SIDE} in a plain loop | {loop:.1f} s | |")
        print(f"| a run over a file, over that | {middle([a.here / a.loop for a in rounds])} | at most 1.10 |")
        print(f"| one worker, one thread | {rate:.3f} Mpx/s, {rate * 1e6 / STRIDE**2:.1f} tiles/s | |")
        print(f"| two workers over one | {middle([a.one / a.two for a in rounds])} | at least 1.7 |")
        print(f"| two plain loops at once over one | {middle([a.loops for a in rounds])} | |", flush=True)
        if given.images:
            seconds = small_images(folder / "small", given.images)
            print(
                f"| {given.images} images of 128 x 128: each, beyond the model's work | {seconds:.3f} s | |", flush=True
            )
        if given.divided:
            part, objects, cut, blocks = divided(folder, given.divided)
            what = f"{given.divided} x {given.divided} in {blocks} blocks: pixels of the same object as undivided"
            print(f"| {what} | {part:.4%} | at least 99.9 % |")
            print(f"| objects that were cut, or joined to another | {cut} of {objects} | none |", flush=True)
        if not side:
            return
        large = stored(folder / "large.ome.zarr", (side, side), (round(side * given.tissue**0.5),) * 2)
        watched = Watched(folder / "large/.work")
        with local_workers(2) as pool, watched.watching():
            seconds = timed(large, folder / "large", pool)
        tissue = side**2 * given.tissue
        print(f"| {side} x {side}, {given.tissue:.0%} of it tissue, two workers | {seconds / 60:.1f} min | |")
        print(f"| peak memory of a worker | {watched.memory / 2**30:.2f} GiB | under 3 GiB |")
        for what, size in (
            ("the image itself", size_of(large)),
            ("read by the workers", watched.read),
            ("written by the workers", watched.written),
            ("most scratch at once", watched.scratch),
            ("labels and table", size_of(folder / "large")),
        ):
            print(f"| {what} | {size / 2**20:.0f} MiB, {size / tissue:.2f} bytes a pixel of tissue | |")


if __name__ == "__main__":
    main()
