"""``napari-biomedparse evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_biomedparse.cli.common import Device, Model, clear_errors


def evaluate(
    data: Annotated[list[Path], typer.Argument(help="Folders in the BiomedParseData layout.")],
    model: Model = "mini",
    device: Device = "auto",
    split: Annotated[str, typer.Option(help="train or test.")] = "test",
    prompt: Annotated[list[str] | None, typer.Option(help="Ask these words instead of the target's name.")] = None,
    output: Annotated[Path | None, typer.Option(help="CSV file for the figures.")] = None,
) -> None:
    """Measure Dice and IoU on annotated images: a row per set, modality, site, target and prompt."""
    with clear_errors():
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
