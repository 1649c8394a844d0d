"""``napari-biomedparse evaluate``."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_biomedparse.cli.common import Device, Model, clear_errors, fail, progress_bar

if TYPE_CHECKING:
    from napari_biomedparse.evaluation.figures import Figures
    from napari_biomedparse.evaluation.figures import Table as EvaluationTable
    from napari_biomedparse.evaluation.run import Evaluation

# What of the main table is shown on the terminal, and how the columns are headed there.
_SHOWN = {
    **{"dataset": "set", "target": "target", "prompt": "prompt", "images": "n", "dice_mean": "Dice"},
    **{"dice_median": "median", "f1_50_pooled": "F1", "published_dice": "published", "baseline_dice": "baseline"},
}
# What of the first rows of other tables, which are over all sets.
_SUMMARIES = {
    "presence": (1, ("present", "absent", "roc_auc", "absent_below_limit")),
    "recognition": (2, ("told", "images", "modality_accuracy", "precision", "recall", "f1", "f1_judged")),
}


def evaluate(
    data: Annotated[list[Path], typer.Argument(help="Folders in the BiomedParseData layout.")],
    model: Model = "mini",
    device: Device = "auto",
    split: Annotated[str, typer.Option(help="train or test.")] = "test",
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            help="Ask these words instead of the target's name; {target}, {site} and {modality} are filled in."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="CSV file for the figures; further tables get its name and their own.")
    ] = None,
    images: Annotated[Path | None, typer.Option(help="CSV file for the figures of every mask.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Folder for plots, as PNG and SVG.")] = None,
    paraphrases: Annotated[bool, typer.Option(help="Also ask every name the ontology has for a target.")] = False,
    presence: Annotated[bool, typer.Option(help="Also ask for what is not there.")] = False,
    recognition: Annotated[bool, typer.Option(help="Also look for everything, told the modality and not.")] = False,
    baselines: Annotated[bool, typer.Option(help="Also measure what trivial methods reach.")] = False,
) -> None:
    """Measure a model on annotated images: a row per set, modality, site, target and prompt."""
    with clear_errors():
        from napari_biomedparse.engine.predictor import Predictor
        from napari_biomedparse.evaluation.plots import check_matplotlib, write_plots
        from napari_biomedparse.evaluation.run import Evaluation, Measures

        if split not in ("train", "test"):
            raise ValueError(f"The split must be train or test, not {split!r}.")
        if plots:
            check_matplotlib()
        measures = Measures(tuple(prompt or ()), paraphrases, presence, recognition, baselines)
        predictor = Predictor.from_pretrained(model, device)
        evaluation = Evaluation(predictor, data, split, measures)  # type: ignore[arg-type]
        for path in filter(None, (output, images)):
            path.parent.mkdir(parents=True, exist_ok=True)
        for folder in evaluation.without_masks:
            typer.echo(f"{folder} is left out: it has no masks in its {split} split.", err=True)
        figures, failed = _measure_all(evaluation, images)
        if figures.scores:
            main, others = figures.targets(), figures.tables()
            _print_figures(main, others)
            if output:
                _write_tables(output, main, others)
            if plots:
                write_plots(plots, figures)
    if failed:
        raise typer.Exit(2)


def _measure_all(evaluation: Evaluation, path: Path | None) -> tuple[Figures, bool]:
    """Measure all images, writing the figures of each as they come; one that fails is named and left out."""
    from napari_biomedparse.evaluation.figures import Figures
    from napari_biomedparse.evaluation.scores import image_rows

    figures, failed = Figures(), False
    with _row_writer(path) as write, progress_bar(quiet=False) as bar:
        for example in bar.track(evaluation.examples, description="images"):
            try:
                measured = evaluation.measure(example)
            except (ValueError, OSError) as error:
                fail(f"{example.image}: {error}")
                failed = True
                continue
            write(image_rows(measured.scores))
            figures.add(measured)
    return figures, failed


@contextmanager
def _row_writer(path: Path | None) -> Iterator[Any]:
    from napari_biomedparse.evaluation.scores import IMAGE_COLUMNS

    if path is None:
        yield list
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, IMAGE_COLUMNS)
        writer.writeheader()
        yield writer.writerows


def _write_tables(output: Path, main: EvaluationTable, others: dict[str, EvaluationTable]) -> None:
    from napari_biomedparse.io.write import write_table

    write_table(output, main.rows, main.columns)
    for name, table in others.items():
        write_table(output.with_suffix(f".{name}.csv"), table.rows, table.columns)


def _print_figures(main: EvaluationTable, others: dict[str, EvaluationTable]) -> None:
    from rich.console import Console
    from rich.table import Table

    # Columns that are empty in all rows, or say nothing new, are left out.
    told = [column for column in _SHOWN if any(row[column] != "" for row in main.rows)]
    if all(row["prompt"] == row["target"] for row in main.rows):
        told.remove("prompt")
    table = Table(*(_SHOWN[column] for column in told))
    for row in main.rows:
        table.add_row(*(_short(row[column]) for column in told))
    console = Console()
    console.print(table)
    for name, (first, columns) in _SUMMARIES.items():
        if name in others:
            for row in others[name].rows[:first]:
                console.print(f"{name}: " + ", ".join(f"{column} {_short(row[column])}" for column in columns))


def _short(value: str | int | float) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
