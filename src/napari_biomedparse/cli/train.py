"""``napari-biomedparse train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_biomedparse.cli.common import clear_errors
from napari_biomedparse.errors import SettingError


def train(
    data: Annotated[
        list[Path] | None, typer.Argument(help="Folders in the BiomedParseData layout.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for log, checkpoint and weights.")] = None,
    config: Annotated[
        str | None,
        typer.Option(help="File with the run (YAML or JSON), or just its network: a preset's name or a file with it."),
    ] = None,
    init: Annotated[str | None, typer.Option(help="Weights to start from: a model's name or a file.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Images per step, over all processes.")] = None,
    parts: Annotated[int | None, typer.Option(min=1, help="Parts that a batch is computed in, to save memory.")] = None,
    size: Annotated[
        int | None, typer.Option(min=32, help="Side of the input in pixels; goes with the weights.")
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0, help="Peak learning rate.")] = None,
    schedule: Annotated[str | None, typer.Option(help="cosine or step.")] = None,
    freeze: Annotated[
        list[str] | None, typer.Option(help="Part to leave as it is, such as image_encoder; may be repeated.")
    ] = None,
    adapters: Annotated[
        int | None, typer.Option(min=0, help="Rank of adapters to train instead of both encoders.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = None,
    precision: Annotated[
        str | None, typer.Option(help="float32, or where the device has units for it bfloat16, float16.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights and sampling.")] = None,
    save_every: Annotated[int | None, typer.Option(min=1, help="Steps between checkpoints.")] = None,
    validate_every: Annotated[
        int | None, typer.Option(min=0, help="Steps between measurements on training images kept back.")
    ] = None,
    tensorboard: Annotated[bool | None, typer.Option(help="Log for TensorBoard too.")] = None,
) -> None:
    """Train a model on train splits; a run that was cut off goes on where it stopped.

    Options replace what the file of --config says. Under torchrun, all processes train one model.
    """
    chosen: dict[str, Any] = {
        "steps": steps,
        "batch": batch,
        "parts": parts,
        "size": size,
        "rate": rate,
        "schedule": schedule,
        "freeze": freeze or None,
        "adapters": None if adapters is None else {"rank": adapters},
        "device": device,
        "precision": precision,
        "seed": seed,
        "save_every": save_every,
        "validate_every": validate_every,
        "tensorboard": tensorboard,
    }
    with clear_errors():
        from napari_biomedparse.training.loop import Progress
        from napari_biomedparse.training.loop import train as run
        from napari_biomedparse.training.processes import is_first
        from napari_biomedparse.training.run_file import merge, run_of
        from napari_biomedparse.weights import locate

        whole = {"data": [str(folder) for folder in data or []], "init": init, "out": out and str(out)}
        changes: dict[str, Any] = {name: value for name, value in whole.items() if value}
        changes["train"] = {name: value for name, value in chosen.items() if value is not None}
        wanted = run_of(merge(_settings(config), changes))
        if not wanted.data:
            raise SettingError("Name the folders to train on, or list them as 'data' in the configuration.")
        if not wanted.out:
            raise SettingError("Name a folder for the results with --out, or as 'out' in the configuration.")

        def report(progress: Progress) -> None:
            losses = ", ".join(f"{name} {value:.3f}" for name, value in progress.losses.items())
            dice = "".join(f"; {name} Dice {value:.3f}" for name, value in progress.dice.items())
            typer.echo(f"step {progress.step}/{progress.steps}: {losses}{dice} ({progress.seconds:.0f} s)")

        start = locate(wanted.init) if wanted.init else None
        folders = [Path(folder) for folder in wanted.data]
        weights = run(folders, wanted.network(), wanted.train, Path(wanted.out), start, report)
        if is_first():
            typer.echo(f"Weights: {weights}")


def _settings(config: str | None) -> dict[str, Any]:
    """Return the settings of a file, or those of a run with nothing but a network."""
    from napari_biomedparse.training.run_file import read_settings

    if config is None:
        return {}
    path = Path(config)
    return read_settings(path) if path.suffix.lower() in (".yaml", ".yml", ".json") else {"model": config}
