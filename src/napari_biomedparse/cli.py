"""The command line: a few lines over the engine for each command."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="Segment biomedical images with words.", no_args_is_help=True, pretty_exceptions_enable=False)

Model = Annotated[str, typer.Option(help="A preset's name or the path of a checkpoint.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]


def _fail(error: Exception | str) -> None:
    typer.echo(f"Error: {error}", err=True)


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Turn what a user can mend into one sentence and exit code 2."""
    try:
        yield
    except (ValueError, FloatingPointError, OSError) as error:
        _fail(error)
        raise typer.Exit(2) from None


@app.callback()
def main() -> None:
    """Segment biomedical images with words."""


@app.command()
def segment(
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    prompt: Annotated[list[str], typer.Option(help="What to look for; repeat for several objects.")],
    output: Annotated[Path, typer.Option(help="Folder for labels and tables; made if needed.")],
    model: Model = "mini",
    device: Device = "auto",
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Probability above which a pixel counts.")] = 0.5,
    instances: Annotated[bool, typer.Option(help="Number separate objects instead of prompts.")] = False,
    overlay: Annotated[bool, typer.Option(help="Also write a picture of the labels over the image.")] = False,
    t: Annotated[int | None, typer.Option(help="Time point of a series, from 0.")] = None,
    c: Annotated[int | None, typer.Option(help="Channel, from 0.")] = None,
    z: Annotated[int | None, typer.Option(help="Section of a stack, from 0.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace results that are there already.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Segment images; write a label image, its names and a table of objects for each."""
    with _clear_errors():
        from napari_biomedparse.batch.segment_file import Job, check_outputs, segment_file
        from napari_biomedparse.engine.predictor import Predictor, check_prompts

        prompts = list(dict.fromkeys(prompt))
        check_prompts(prompts)
        job = Job(prompts, output, threshold, instances, overlay, t, c, z)
        check_outputs(images, job, overwrite)
        predictor = Predictor.from_pretrained(model, device)
        output.mkdir(parents=True, exist_ok=True)

    summaries: list[dict[str, Any]] = []
    failed = False
    with _progress(as_json) as bar:
        for path in images:
            try:
                task = bar.add_task(path.name, total=None)
                report = partial(_show, bar, task)
                summaries.append({**segment_file(predictor, path, job, report), "model": model})
            except (ValueError, OSError) as error:
                _fail(error)
                failed = True
    if as_json:
        typer.echo(json.dumps(summaries, ensure_ascii=False))
    else:
        _print_summaries(summaries)
    if failed:
        raise typer.Exit(2)


def _show(bar: Any, task: Any, step: Any) -> None:
    bar.update(task, completed=step.done, total=step.total)


def _progress(quiet: bool) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=quiet or not sys.stderr.isatty())


def _print_summaries(summaries: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("image", "prompt", "confidence", "objects", "area (px)")
    for summary in summaries:
        for entry in summary["prompts"]:
            table.add_row(
                Path(summary["image"]).name,
                entry["prompt"],
                f"{entry['confidence']:.2f}",
                str(entry["objects"]),
                str(entry["area_px"]),
            )
    if summaries:
        Console().print(table)
        typer.echo(f"Labels and tables are in {Path(summaries[0]['labels']).parent}.")


@app.command()
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
    with _clear_errors():
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


@app.command()
def evaluate(
    data: Annotated[list[Path], typer.Argument(help="Folders in the BiomedParseData layout.")],
    model: Model = "mini",
    device: Device = "auto",
    split: Annotated[str, typer.Option(help="train or test.")] = "test",
    prompt: Annotated[list[str] | None, typer.Option(help="Ask these words instead of the target's name.")] = None,
    output: Annotated[Path | None, typer.Option(help="CSV file for the figures.")] = None,
) -> None:
    """Measure Dice and IoU on annotated images: a row per set, modality, site, target and prompt."""
    with _clear_errors():
        from napari_biomedparse.engine.predictor import Predictor
        from napari_biomedparse.evaluation.overlap import COLUMNS, evaluate_datasets
        from napari_biomedparse.io.write import write_table

        if split not in ("train", "test"):
            raise ValueError(f"The split must be train or test, not {split!r}.")
        rows = []
        predictor = Predictor.from_pretrained(model, device)
        for row in evaluate_datasets(predictor, data, split, prompt):  # type: ignore[arg-type]
            rows.append(row)
            typer.echo("  ".join(str(row[column]) for column in COLUMNS))
        if output:
            write_table(output, rows, COLUMNS)


if __name__ == "__main__":
    app()
