"""How long the published model takes: python benchmarks/published_model.py WEIGHTS

WEIGHTS is the published checkpoint, or any file of its format. Everything is measured in one run on this machine's CPU,
side by side with a plain implementation of the released procedure (benchmarks/released.py). Prints the tables of
benchmarks/RESULTS.md. Takes about ten minutes on two cores.
"""

from __future__ import annotations

import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import released
import torch
from torch.utils.flop_counter import FlopCounterMode

from napari_biomedparse import ObjectMask, Predictor
from napari_biomedparse.engine.device import usable_precisions
from napari_biomedparse.engine.recognition import share_pixels
from napari_biomedparse.model.checkpoint import load_model
from napari_biomedparse.model.tokenizer import tokenize
from napari_biomedparse.ontology import RecognitionTable

ROUNDS = 3
PROMPTS = list(RecognitionTable.published().lists["CT-Abdomen"])
# Run in a process of its own: the peak memory of loading, a first prompt and all objects of a list.
ONCE = """
import resource, sys, time
import numpy as np
from napari_biomedparse import Predictor
began = time.perf_counter()
predictor = Predictor.from_pretrained(sys.argv[1], device="cpu")
took = time.perf_counter() - began
image = np.random.default_rng(0).integers(0, 255, (1024, 1024, 3), dtype=np.uint8)
predictor.segment(image, ["liver in abdomen CT"])
predictor.recognize(image, "CT-Abdomen")
print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def seconds(action: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def median(action: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Median wall time after one call that does not count."""
    action()
    return statistics.median(seconds(action) for _ in range(rounds))


def show(title: str, columns: list[str], rows: list[list[str]]) -> None:
    print(f"\n{title}\n\n| {' | '.join(columns)} |\n| {' | '.join('---' for _ in columns)} |")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def peak(dtype: torch.dtype) -> float:
    """Largest measured rate of a square matrix product, in FLOP/s."""
    a, b = (torch.randn(4096, 4096, dtype=dtype) for _ in range(2))
    a @ b
    return 2 * 4096**3 / min(seconds(lambda: a @ b) for _ in range(5))


def load_and_memory(weights: Path) -> list[list[str]]:
    """Loading converted weights, and the peak memory of what follows, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / "biomedparse-v1.safetensors"
        run = partial(subprocess.run, capture_output=True, text=True, check=True)
        run([sys.executable, "-m", "napari_biomedparse", "models", "convert", weights, converted])
        limit = 1.1 * converted.stat().st_size / 2**30 + 2.5
        # The first of two runs warms the disk's cache.
        took, memory = map(float, [run([sys.executable, "-c", ONCE, converted]).stdout for _ in range(2)][-1].split())
    return [
        ["loading converted weights, warm", f"{took:.2f} s", "under 3 s"],
        ["peak memory, a prompt and all of CT-Abdomen", f"{memory:.2f} GiB", f"at most {limit:.2f} GiB"],
    ]


def compare(model: released.Released, predictor: Predictor, image: np.ndarray) -> list[list[str]]:
    """The released procedure and this one in turn."""
    rgb, shape = torch.from_numpy(image).permute(2, 0, 1).float(), image.shape[:2]
    ids = {prompt: tokenize([prompt])[0].tolist() for prompt in PROMPTS}

    def plain(prompts: list[str]) -> None:
        for prompt in prompts:
            released.segment(model, rgb, ids[prompt], shape)

    def first() -> None:
        predictor.cache.clear()
        predictor.segment(image, PROMPTS[:1])

    def every() -> None:
        predictor.cache.clear()
        predictor.segment(image, PROMPTS)

    plain(PROMPTS[:1])
    first()
    encoded = predictor.encode(image)
    predictor.segment(encoded, PROMPTS[:1])
    rounds = []
    for prompt in PROMPTS[1 : 1 + ROUNDS]:
        further = partial(predictor.segment, encoded, [prompt])
        rounds.append((seconds(partial(plain, PROMPTS[:1])), seconds(first), seconds(further)))
    alone, once, more = (statistics.median(column) for column in zip(*rounds, strict=True))
    all_plain, all_ours = seconds(lambda: plain(PROMPTS)), median(every)
    rows = [("first prompt", once, alone, 0.8), ("each further prompt", more, alone, 1 / 25)]
    rows.append((f"the {len(PROMPTS)} objects of CT-Abdomen", all_ours, all_plain, 1 / 8))
    return [[name, f"{a:.2f} s", f"{b:.2f} s", f"{a / b:.3f}", f"at most {wanted:.3g}"] for name, a, b, wanted in rows]


def compare_merging() -> list[str]:
    """Ten masks of 1024 x 1024 pixels given pixel by pixel, and at once."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(size=(10, 1, 16, 16))).float()
    smooth = torch.nn.functional.interpolate(coarse, (1024, 1024), mode="bilinear")[:, 0].numpy()
    named = {str(number): plane for number, plane in enumerate(smooth)}
    took = median(lambda: share_pixels(list(smooth)))
    plain = seconds(lambda: released.merge(named))
    return ["merging ten masks", f"{took:.3f} s", f"{plain:.2f} s", f"1/{plain / took:.0f}", "at most 1/100"]


def stages(model: torch.nn.Module, image: np.ndarray, rate: float) -> list[list[str]]:
    """FLOPs, time and share of the matrix product's rate of each stage."""
    rgb = torch.from_numpy(image).permute(2, 0, 1).float()[None]
    normalised = (rgb - model.pixel_mean) / model.pixel_std
    maps = model.image_encoder(normalised)
    levels, finest = model.pixel_decoder(maps)
    resize = model.pixel_decoder.mask_features.resized
    features = model.mask_decoder.prepare(levels, finest, resize(finest))
    text = model.encode_text(PROMPTS[:1])
    many = model.encode_text(PROMPTS)
    parts = {
        "image encoder": lambda: model.image_encoder(normalised),
        "pixel decoder": lambda: model.pixel_decoder(maps),
        "keys, values, resized mask features": lambda: model.mask_decoder.prepare(levels, finest, resize(finest)),
        "text": lambda: model.encode_text(PROMPTS[:1]),
        "mask decoder, 1 prompt": lambda: model.decode(features, text),
        f"mask decoder, {len(PROMPTS)} prompts": lambda: model.decode(features, many),
    }
    rows = []
    for name, part in parts.items():
        with FlopCounterMode(display=False) as counter:
            part()
        flops, took = counter.get_total_flops(), median(part)
        rows.append([name, f"{flops / 1e9:.1f}", f"{took:.3f} s", f"{flops / took / rate:.0%}"])
    return rows


def options(model: torch.nn.Module, image: np.ndarray) -> list[list[str]]:
    """Encoding an image with each option, against float32 as it is, and how far the answer moves."""
    rgb = torch.from_numpy(image).permute(2, 0, 1).float()[None]
    plain = median(lambda: model.encode_image(rgb))
    rows = [["float32", f"{plain:.2f} s", "1", "", ""]]
    if "bfloat16" in usable_precisions(torch.device("cpu")):
        exact, half = (Predictor(model, "cpu", precision, cache_bytes=0) for precision in ("float32", "bfloat16"))
        took = median(lambda: half.encode(image))
        masks = [p.segment(image, PROMPTS) for p in (exact, half)]
        rows.append(["bfloat16", f"{took:.2f} s", f"{took / plain:.2f}", *difference(*masks)])
    layout = load_model(Path(sys.argv[1])).to(memory_format=torch.channels_last)
    took = median(lambda: layout.encode_image(rgb.to(memory_format=torch.channels_last)))
    rows.append(["float32, channels_last", f"{took:.2f} s", f"{took / plain:.2f}", "", ""])
    compiled = torch.compile(model.encode_image)
    began = time.perf_counter()
    compiled(rgb)
    start = time.perf_counter() - began
    took = median(lambda: compiled(rgb))
    rows.append([f"float32, torch.compile ({start:.0f} s to compile)", f"{took:.2f} s", f"{took / plain:.2f}", "", ""])
    return rows


def difference(exact: list[ObjectMask], other: list[ObjectMask]) -> list[str]:
    """Mean difference of the probabilities, and share of pixels on the same side of 0.5."""
    moved = np.mean([np.abs(a.probability - b.probability).mean() for a, b in zip(exact, other, strict=True)])
    same = np.mean([(a.mask() == b.mask()).mean() for a, b in zip(exact, other, strict=True)])
    return [f"{moved:.4f}", f"{same:.2%}"]


@torch.no_grad()
def main() -> None:
    """Measure and print."""
    weights = Path(sys.argv[1])
    # First of all: a process inherits the peak memory of the one that starts it.
    once = load_and_memory(weights)
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8).repeat(32, 0).repeat(32, 1)
    rates = {dtype: peak(dtype) for dtype in (torch.float32, torch.bfloat16)}
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}.")
    print("Matrix product:", ", ".join(f"{rate / 1e9:.0f} GFLOP/s in {dtype}" for dtype, rate in rates.items()))

    predictor = Predictor.from_pretrained(weights, device="cpu")
    plain = released.Released(torch.load(weights, map_location="cpu", weights_only=True, mmap=True))
    rows = [*compare(plain, predictor, image), compare_merging()]
    show("### Against the released procedure", ["what", "this", "released", "ratio", "wanted"], rows)
    show("### Loading and memory", ["what", "measured", "wanted"], once)
    rows = stages(predictor.model, image, rates[torch.float32])
    show("### Stages", ["stage", "GFLOP", "time", "share of the matrix product's rate"], rows)
    columns = ["encoding an image", "time", "ratio", "mean difference of probabilities", "pixels on the same side"]
    show("### Options", columns, options(predictor.model, image))


if __name__ == "__main__":
    main()
