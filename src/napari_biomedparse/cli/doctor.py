"""``napari-biomedparse doctor``: what is on this computer, and whether the model answers on it as it should."""

from __future__ import annotations

import json
import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated

import typer

from napari_biomedparse.cli.common import Device, Model, clear_errors, fail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_biomedparse.engine.predictor import Predictor
    from napari_biomedparse.engine.results import ObjectMask

PACKAGES = ("torch", "numpy", "napari", "PySide6-Essentials", "PyQt6", "dask", "zarr", "tifffile", "aicsimageio")
READERS = ("bioio", "bioio-ome-tiff", "bioio-ome-zarr", "bioio-nd2", "bioio-lif", "bioio-czi")
# What the devices' answers must have in common, as Dice overlap: rounding moves single pixels of rims.
ALIKE = 0.99
# Runs of which the fastest counts, after one that is not timed.
RUNS = 3
# What another arithmetic must save to be advised: times of one and the same differ by a few percent.
WORTH = 0.95

Facts = dict[str, dict[str, str]]


def doctor(
    model: Model = "mini",
    device: Device = "auto",
    arithmetic: Annotated[
        bool,
        typer.Option(
            "--arithmetic", help="Also time each --precision that the device has units for, and what it changes."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Tell versions, devices, models and readers, and try a model on a sample image: to begin with, and for reports."""
    from napari_biomedparse.engine.device import choose_device
    from napari_biomedparse.io.reading import first_line
    from napari_biomedparse.weights.locate import find

    with clear_errors():
        facts: Facts = {
            "Program": _program(),
            "Packages": _versions(PACKAGES),
            "Readers": _versions(READERS),
            "Devices": _devices(),
            "Models": _models(),
        }
        choose_device(device)
        find(model)
    try:
        facts["Test"], problem = _test(model, device)
        if arithmetic and problem is None:
            facts["Arithmetic"] = _arithmetic(model, device)
    except Exception as error:  # whatever it is, it is what is looked for here
        facts["Test"], problem = {}, f"The model {model} does not run on {device}: {first_line(error).rstrip('.')}."
    if as_json:
        typer.echo(json.dumps(facts | {"problem": problem}, ensure_ascii=False))
    else:
        for title, lines in facts.items():
            typer.echo(title)
            for name, value in lines.items():
                typer.echo(f"  {name}: {value}")
    if problem:
        fail(problem)
        raise typer.Exit(1)


def _program() -> dict[str, str]:
    return {
        "napari-biomedparse": version("napari-biomedparse"),
        "Python": platform.python_version(),
        "System": f"{platform.platform()}, {os.cpu_count()} cores",
    }


def _versions(names: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of packages, without importing them."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _devices() -> dict[str, str]:
    """Return what the model can run on, and in which arithmetic."""
    import torch

    from napari_biomedparse.engine.device import choose_device, usable_precisions
    from napari_biomedparse.io.reading import first_line

    there = [torch.device("cpu")]
    there += [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        there.append(torch.device("mps"))
    described = {}
    for device in there:
        name = f"{torch.get_num_threads()} threads" if device.type == "cpu" else device.type
        try:
            if device.type == "cuda":
                free, total = torch.cuda.mem_get_info(device)
                name = f"{torch.cuda.get_device_name(device)}, {free >> 20} of {total >> 20} MiB free"
            described[str(device)] = f"{name}; {', '.join(usable_precisions(device))}"
        except RuntimeError as error:
            described[str(device)] = f"fails: {first_line(error)}"
    return described | {"auto": str(choose_device("auto"))}


def _models() -> dict[str, str]:
    """Return where the weights are that have a name."""
    from napari_biomedparse.weights.locate import find
    from napari_biomedparse.weights.own_models import own_models
    from napari_biomedparse.weights.sources import SOURCES

    return {name: str(find(name) or "not downloaded") for name in (*SOURCES, *own_models())}


def _test(model: str, device: str) -> tuple[dict[str, str], str | None]:
    """Look for nuclei on a sample image; return what came out, and what is wrong with that."""
    from napari_biomedparse.engine.predictor import Predictor
    from napari_biomedparse.evaluation.overlap import dice

    image = _sample()

    def look(predictor: Predictor) -> tuple[float, ObjectMask]:
        began = time.perf_counter()
        (mask,) = predictor.segment(image, ["nuclei"])
        return time.perf_counter() - began, mask

    predictor = Predictor.from_pretrained(model, device)
    seconds, mask = look(predictor)
    count = int(mask.instances().max())
    said = {str(predictor.device): f"{count} nuclei in {seconds:.1f} s"}
    if not count:
        return said, f"The model {model} finds no nuclei on the sample image; verify its weights, or choose another."
    if predictor.device.type == "cpu":
        return said, None
    seconds, plain = look(Predictor.from_pretrained(model, "cpu"))
    shared = dice(mask.mask(0.5), plain.mask(0.5))
    said["cpu"] = f"{int(plain.instances().max())} nuclei in {seconds:.1f} s, Dice with {predictor.device} {shared:.4f}"
    if shared < ALIKE:
        return said, f"{predictor.device} does not answer as the CPU does: update its driver and torch, or choose cpu."
    return said, None


def _arithmetic(model: str, device: str) -> dict[str, str]:
    """Return the time that each arithmetic takes here for an image and a prompt, and how its answer differs."""
    import numpy as np

    from napari_biomedparse.engine.device import choose_device, usable_precisions
    from napari_biomedparse.engine.predictor import Predictor

    image = _sample()
    told: dict[str, str] = {}
    best, least = "float32", WORTH
    for precision in usable_precisions(choose_device(device)):
        # Nothing is kept, so that each run encodes the image.
        predictor = Predictor.from_pretrained(model, device, precision, cache_bytes=0)
        (mask,) = predictor.segment(image, ["nuclei"])
        times = []
        for _ in range(RUNS):
            began = time.perf_counter()
            predictor.segment(image, ["nuclei"])
            times.append(time.perf_counter() - began)
        if precision == "float32":
            plain, seconds = mask, min(times)
            told[precision] = f"{seconds:.3f} s"
            continue
        ratio = min(times) / seconds
        change = float(np.abs(mask.probability - plain.probability).mean())
        same = float((mask.mask(0.5) == plain.mask(0.5)).mean())
        told[precision] = (
            f"{ratio:.2f} of the time, probabilities {change:.1e} apart on average, {same:.3%} of the pixels on the "
            "same side of 0.5"
        )
        if ratio < least:
            best, least = precision, ratio
    told["fastest"] = best + (f": choose it with --precision {best}" if best != "float32" else ", which is the default")
    return told


def _sample() -> NDArray[np.uint8]:
    from skimage.io import imread

    image: NDArray[np.uint8] = imread(
        str(files("napari_biomedparse").joinpath("resources/samples/fluorescent_nuclei.png"))
    )
    return image
