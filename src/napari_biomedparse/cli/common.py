"""What the commands share: options, progress, and errors as sentences."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

Model = Annotated[str, typer.Option(help="A preset's name or the path of a checkpoint.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]


def fail(error: Exception | str) -> None:
    """Print an error as one sentence."""
    typer.echo(f"Error: {error}", err=True)


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn what a user can mend into one sentence and exit code 2."""
    try:
        yield
    except (ValueError, FloatingPointError, OSError) as error:
        fail(error)
        raise typer.Exit(2) from None


def progress_bar(quiet: bool) -> Any:
    """Return a bar on the error stream, so that results can be piped; silent if asked or not on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=quiet or not sys.stderr.isatty())


def show_step(bar: Any, task: Any, step: Any) -> None:
    """Move a task's bar to an engine's step."""
    bar.update(task, completed=step.done, total=step.total)
