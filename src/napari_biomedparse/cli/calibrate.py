"""``napari-biomedparse calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_biomedparse.cli.common import Device, clear_errors, progress_bar
from napari_biomedparse.errors import SettingError


def calibrate(
    data: Annotated[list[Path], typer.Argument(help="Folders in the BiomedParseData layout.")],
    model: Annotated[Path, typer.Option(help="The checkpoint; the table is written beside it.")],
    device: Device = "auto",
    most: Annotated[int, typer.Option(min=16, help="Images per modality and object.")] = 60,
    overwrite: Annotated[bool, typer.Option(help="Replace the table that is there already.")] = False,
) -> None:
    """Fit on train splits what a model looks for in each modality, and when an object counts as there."""
    with clear_errors():
        from napari_biomedparse.engine.predictor import Predictor
        from napari_biomedparse.engine.tables import table_path
        from napari_biomedparse.training.calibrate import calibrate as run

        if not model.is_file():
            raise SettingError(f"{model} is no file; give that of the weights, the table is written beside it.")
        target = table_path(model)
        if target.exists() and not overwrite:
            raise SettingError(f"{target} is there already; add --overwrite to replace it.")
        predictor = Predictor.from_pretrained(model, device)
        with progress_bar(quiet=False) as bar:
            task = bar.add_task("images", total=None)
            table = run(predictor, data, most, lambda done, total: bar.update(task, completed=done, total=total))
        table.write(target)
    for modality, names in table.lists.items():
        typer.echo(f"{modality}: {', '.join(names)}")
    typer.echo(f"Table: {target}")
