"""``napari-biomedparse train``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from napari_biomedparse.cli.common import clear_errors


def train(
    data: Annotated[list[Path], typer.Argument(help="Folders in the BiomedParseData layout.")],
    out: Annotated[Path, typer.Option(help="Folder for log, checkpoint and weights.")],
    config: Annotated[str, typer.Option(help="A preset's name or a JSON file with a model configuration.")] = "mini",
    init: Annotated[Path | None, typer.Option(help="Weights to start from.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = 4000,
    batch: Annotated[int, typer.Option(min=1, help="Images per step.")] = 16,
    size: Annotated[
        int | None, typer.Option(min=32, help="Side of the input in pixels; goes with the weights.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0, help="Peak learning rate.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Seed of weights and sampling.")] = 2024,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 200,
) -> None:
    """Train a model on train splits; a run that was cut off goes on where it stopped."""
    with clear_errors():
        from napari_biomedparse.model.config import ModelConfig, preset
        from napari_biomedparse.training.loop import Progress, TrainConfig
        from napari_biomedparse.training.loop import train as run

        path = Path(config)
        model = (
            ModelConfig.from_dict(json.loads(path.read_text(encoding="utf-8")))
            if path.suffix == ".json"
            else preset(config)
        )

        def report(progress: Progress) -> None:
            losses = ", ".join(f"{name} {value:.3f}" for name, value in progress.losses.items())
            typer.echo(f"step {progress.step}/{progress.steps}: {losses} ({progress.seconds:.0f} s)")

        settings = TrainConfig(steps=steps, batch=batch, size=size, rate=rate, seed=seed, save_every=save_every)
        weights = run(data, model, settings, out, init, report)
        typer.echo(f"Weights: {weights}")
