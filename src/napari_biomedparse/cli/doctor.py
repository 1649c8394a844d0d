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
    from napari_biomedparse.engine.predictor import Predictor
    from napari_biomedparse.engine.results import ObjectMask

PACKAGES = ("torch", "numpy", "napari", "PySide6-Essentials", "PyQt6", "dask", "zarr", "tifffile", "aicsimageio")
READERS = ("bioio", "bioio-ome-tiff", "bioio-ome-zarr", "bioio-nd2", "bioio-lif", "bioio-czi")
# What the devices' answers must have in common, as Dice overlap: rounding moves single pixels of rims.
ALIKE = 0.99

Facts = dict[str, dict[str, str]]


def doctor(
    model: Model = "mini",
    device: Device = "auto",
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
    from skimage.io import imread

    from napari_biomedparse.engine.predictor import Predictor
    from napari_biomedparse.evaluation.overlap import dice

    image = imread(str(files("napari_biomedparse").joinpath("resources/samples/fluorescent_nuclei.png")))

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
