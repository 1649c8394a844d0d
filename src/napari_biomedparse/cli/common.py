"""What the commands share: options, progress, and errors as sentences."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_biomedparse.errors import BiomedParseError

Model = Annotated[str, typer.Option(help="A preset's name or the path of a checkpoint.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Precision = Annotated[str, typer.Option(help="float32, or where the device has units for it bfloat16, tf32, float16.")]
Fit = Annotated[
    str,
    typer.Option(
        help="How an image fills the network's square: pad keeps its shape and shows cells in tiles, stretch takes the "
        "whole image for everything, as the published demo."
    ),
]
Diameter = Annotated[
    float | None,
    typer.Option(min=1, help="Diameter of the cells in pixels, if the model uses it; measured by default."),
]
TimePoint = Annotated[int | None, typer.Option(help="Time point of a series, from 0.")]
Channel = Annotated[int | None, typer.Option(help="Channel, from 0; of a picture in colours 0 red, 1 green, 2 blue.")]
Scene = Annotated[str | None, typer.Option(help="Which image, of a file that holds several; an error names them.")]
Section = Annotated[int | None, typer.Option(help="Section of a stack, from 0.")]
Window = Annotated[
    str | None,
    typer.Option(
        help="Values that become black and white: of a CT abdomen, lung, liver, ... or as -150,250. "
        "By default 0.5 to 99.5 percent of them; of a CT that --modality tells, the window of its site."
    ),
]
Overwrite = Annotated[bool, typer.Option(help="Replace results that are there already.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]


def fail(error: Exception | str) -> None:
    """Print an error as one sentence."""
    text = str(error)
    if isinstance(error, FileExistsError | NotADirectoryError) and error.filename:
        text = f"{error.filename} is a file or lies in one; name a folder."
    elif isinstance(error, FileNotFoundError) and error.filename:
        text = f"There is no file or folder {error.filename}, or it cannot be made."
    typer.echo(f"Error: {text}", err=True)


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn what a user can mend into one sentence and exit code 2."""
    try:
        yield
    except (BiomedParseError, OSError) as error:
        fail(error)
        raise typer.Exit(2) from None


def progress_bar(quiet: bool) -> Any:
    """Return a bar on the error stream, so that results can be piped; silent if asked or not on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=quiet or not sys.stderr.isatty())


def run_over(
    images: Sequence[Path], run: Callable[[Path, Callable[[Any], None]], dict[str, Any]], quiet: bool
) -> tuple[list[dict[str, Any]], bool]:
    """Run over images with a bar; one that fails is named and does not stop the others.

    Parameters
    ----------
    images
        The files.
    run
        Given a file and what to call with each of the engine's steps, returns a summary.
    quiet
        Whether to draw no bar.

    Returns
    -------
    tuple
        The summaries, and whether an image failed.
    """
    from napari_biomedparse.io.reading import first_line

    summaries: list[dict[str, Any]] = []
    failed = False
    with progress_bar(quiet) as bar:
        for path in images:
            task = bar.add_task(path.name, total=None)
            try:
                summaries.append(run(path, partial(_show_step, bar, task)))
            except (BiomedParseError, OSError) as error:
                fail(error)
                failed = True
            except (MemoryError, RuntimeError) as error:
                # What torch raises where a device has not enough memory, or fails, is a RuntimeError.
                fail(
                    f"{path}: {first_line(error)}. If it is memory, use `batch`, another --device, or a smaller image."
                )
                failed = True
    return summaries, failed


def finish(
    summaries: list[dict[str, Any]], failed: bool, as_json: bool, show: Callable[[list[dict[str, Any]]], None]
) -> None:
    """Print the summaries, as JSON or as ``show`` does, and end with code 2 if an image failed."""
    for summary in summaries:
        if summary["advice"]:
            typer.echo(f"Note: {summary['image']}: {summary['advice']}.", err=True)
    if as_json:
        typer.echo(json.dumps(summaries, ensure_ascii=False))
    elif summaries:
        show(summaries)
        typer.echo(f"Labels and tables are in {Path(summaries[0]['labels']).parent}.")
    if failed:
        raise typer.Exit(2)


def _show_step(bar: Any, task: Any, step: Any) -> None:
    """Move a task's bar to an engine's step."""
    bar.update(task, completed=step.done, total=step.total)
