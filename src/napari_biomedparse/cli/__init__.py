"""The command line: a few lines over the engine for each command."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_biomedparse import __version__
from napari_biomedparse.cli.batch import batch
from napari_biomedparse.cli.calibrate import calibrate
from napari_biomedparse.cli.data import app as data
from napari_biomedparse.cli.doctor import doctor
from napari_biomedparse.cli.evaluate import evaluate
from napari_biomedparse.cli.models import app as models
from napari_biomedparse.cli.pack import pack
from napari_biomedparse.cli.recognize import recognize
from napari_biomedparse.cli.replay import replay
from napari_biomedparse.cli.segment import segment
from napari_biomedparse.cli.train import train

app = typer.Typer(help="Segment biomedical images with words.", no_args_is_help=True, pretty_exceptions_enable=False)
app.command()(segment)
app.command()(recognize)
app.command()(replay)
app.command()(batch)
app.command()(train)
app.command()(pack)
app.command()(calibrate)
app.command()(evaluate)
app.command()(doctor)
app.add_typer(models, name="models")
app.add_typer(data, name="data")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"napari-biomedparse {__version__}")
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Segment biomedical images with words."""
