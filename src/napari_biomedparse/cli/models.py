"""``napari-biomedparse models``: which weights are here, and how to get others."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_biomedparse.cli.common import clear_errors
from napari_biomedparse.errors import SettingError

app = typer.Typer(help="See, download, import, verify and convert the weights of models.", no_args_is_help=True)

AcceptLicence = Annotated[bool, typer.Option("--accept-licence", help="Accept the licence of the weights.")]
NameOrPath = Annotated[str, typer.Argument(help="A preset's name or the path of a checkpoint.")]
Overwrite = Annotated[bool, typer.Option(help="Replace a file that is there already.")]


@app.command("list")
def list_models(as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False) -> None:
    """List the presets and models of your own: where their weights are, their size and their licence."""
    from rich.console import Console
    from rich.table import Column, Table

    from napari_biomedparse.weights.files import size_in_words
    from napari_biomedparse.weights.locate import places
    from napari_biomedparse.weights.own_models import licence_of, own_model_path, own_models
    from napari_biomedparse.weights.sources import SOURCES

    rows: list[dict[str, Any]] = []
    with clear_errors():
        for name, source in SOURCES.items():
            path, where = next(iter(places(name)), (None, None))
            about = {"name": name, "licence": source.licence, "where": where, "path": str(path) if path else None}
            rows.append({**about, "size": path.stat().st_size if path else None})
        for name in own_models():
            path = own_model_path(name)
            about = {"name": name, "licence": licence_of(path), "where": "own models", "path": str(path)}
            rows.append({**about, "size": path.stat().st_size})
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = Table("model", "where", "size", "licence", Column("file", overflow="fold"))
    for row in rows:
        size = size_in_words(row["size"]) if row["path"] else ""
        table.add_row(row["name"], row["where"] or "not here", size, row["licence"], row["path"] or "")
    Console().print(table)


@app.command()
def download(
    name: Annotated[str, typer.Argument(help="A preset's name.")], accept_licence: AcceptLicence = False
) -> None:
    """Download a preset's weights; a download that broke off goes on where it stopped."""
    with clear_errors():
        from napari_biomedparse.weights.checksum import check_published
        from napari_biomedparse.weights.files import size_in_words
        from napari_biomedparse.weights.locate import locate, places
        from napari_biomedparse.weights.sources import SOURCES

        if name not in SOURCES:
            raise SettingError(f"There is no model called {name!r}: use {' or '.join(SOURCES)}.")
        _ask(name, accept_licence)
        path = locate(name)
        typer.echo(f"File: {path} ({places(name)[0].where})")
        typer.echo(f"Size: {size_in_words(path.stat().st_size)}")
        checked = check_published(path)
        cached = places(name)[0].where == "Hugging Face cache"
        typer.echo(f"SHA-256: {checked.sha256}" + (f" ({checked.verdict})" if cached else ""))
        typer.echo(f"Licence: {SOURCES[name].licence}")


@app.command("import")
def import_weights(
    file: Annotated[Path, typer.Argument(help="The published checkpoint, biomedparse_v1.pt.")],
    name: Annotated[str, typer.Option(help="The preset that it belongs to.")] = "biomedparse-v1",
    accept_licence: AcceptLicence = False,
    overwrite: Overwrite = False,
) -> None:
    """Copy weights that you have as a file to where their preset's name finds them."""
    with clear_errors():
        from napari_biomedparse.weights.sources import SOURCES
        from napari_biomedparse.weights.store import import_file

        if name in SOURCES:
            _ask(name, accept_licence)
        typer.echo(f"Imported as {name}: {import_file(file, name, overwrite)}")


@app.command()
def verify(name_or_path: NameOrPath) -> None:
    """Check that weights are whole, as far as their file or the hub has checksums, finite, and fit their network."""
    from napari_biomedparse.model.errors import CheckpointError

    with clear_errors():
        from napari_biomedparse.weights.locate import find
        from napari_biomedparse.weights.whole import read_whole

        path = find(name_or_path)
        if path is None:
            raise SettingError(f"{name_or_path} is not here; run `napari-biomedparse models download {name_or_path}`.")

        try:
            checkpoint, checked = read_whole(path)
        except CheckpointError as error:
            for problem in error.problems:
                typer.echo(problem)
            raise
        parameters = sum(tensor.numel() for tensor in checkpoint.tensors.values())
        typer.echo(f"File: {path}")
        typer.echo(f"SHA-256: {checked.sha256}" + (f" ({checked.verdict})" if checked.published else ""))
        typer.echo(f"Model: {checkpoint.config.name}")
        typer.echo(f"Tensors: {len(checkpoint.tensors)}")
        typer.echo(f"Parameters: {parameters:,}")
        for title, names in (("Not used by text prompts", checkpoint.unused), ("Unknown, ignored", checkpoint.unknown)):
            if names:
                typer.echo(f"{title}: {', '.join(names)}")
        typer.echo("OK")


@app.command()
def convert(
    name_or_path: NameOrPath,
    output: Annotated[Path | None, typer.Argument(help="File to write; by default in the models folder.")] = None,
    dtype: Annotated[str, typer.Option(help="float32 (loads fastest), float16 or bfloat16 (smaller).")] = "float32",
    overwrite: Overwrite = False,
) -> None:
    """Write weights as safetensors under this program's names, with the configuration inside."""
    with clear_errors():
        from napari_biomedparse.engine.tables import table_path
        from napari_biomedparse.weights.convert import convert as run
        from napari_biomedparse.weights.locate import find

        # Asked for before the name finds what is converted from it.
        used = find(name_or_path)
        converted = run(name_or_path, output, dtype, overwrite)
        if used is not None:
            _copy_table(table_path(used), table_path(converted))
        typer.echo(f"Converted: {converted}")


def _copy_table(table: Path, target: Path) -> None:
    """Give converted weights the table for recognition of the original, if it has one of its own."""
    import shutil

    from napari_biomedparse.files.replacing import reason, replacing

    if not table.is_file() or (target.exists() and target.samefile(table)):
        return
    try:
        with replacing(target) as partial:
            shutil.copyfile(table, partial)
    except OSError as error:
        raise SettingError(
            f"The weights are converted, but {target} cannot be written ({reason(error)}); copy {table} there yourself."
        ) from error


def _ask(name: str, accept_licence: bool) -> None:
    """Show the licence of weights that others published and have it accepted, once."""
    from napari_biomedparse.weights import licence
    from napari_biomedparse.weights.sources import SOURCES

    if SOURCES[name].hub_file is None or licence.accepted(name):
        return
    if not accept_licence and sys.stdin.isatty():
        typer.echo(licence.terms(name))
        accept_licence = typer.confirm("Do you accept this licence?")
    elif accept_licence:
        typer.echo(licence.terms(name))
    if accept_licence:
        licence.accept(name)
    licence.require(name)
