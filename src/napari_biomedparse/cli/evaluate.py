"""``napari-biomedparse evaluate``."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_biomedparse.cli.common import Device, Model, clear_errors, fail, progress_bar
from napari_biomedparse.errors import BiomedParseError, SettingError

if TYPE_CHECKING:
    from napari_biomedparse.evaluation.figures import Figures
    from napari_biomedparse.evaluation.figures import Table as EvaluationTable
    from napari_biomedparse.evaluation.run import Evaluation

# What of the main table is shown on the terminal, and how the columns are headed there.
_WORDS = {"dataset": "dataset", "modality": "modality", "site": "site", "target": "target", "prompt": "prompt"}
_NUMBERS = {
    **{"images": "images", "dice_mean": "Dice", "iou_mean": "IoU"},
    **{"f1_50_pooled": "object F1", "published_dice": "published", "baseline_dice": "baseline"},
}
# Wider than any table: what is written to a file or another program is not wrapped.
_UNLIMITED = 10_000
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
        Path | None,
        typer.Option(dir_okay=False, help="CSV file for the figures; further tables get its name and their own."),
    ] = None,
    images: Annotated[Path | None, typer.Option(dir_okay=False, help="CSV file for the figures of every mask.")] = None,
    plots: Annotated[Path | None, typer.Option(file_okay=False, help="Folder for plots, as PNG and SVG.")] = None,
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
            raise SettingError(f"The split must be train or test, not {split!r}.")
        if output and images and _is_table_of(output, images):
            raise SettingError(f"--output would replace {images} by a table of its own; give --images another name.")
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
        else:
            fail("No image could be measured, so there are no figures.")
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
            except (BiomedParseError, OSError) as error:
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
    """Write all tables; one of an earlier run that was not measured now is removed, as it would seem to belong here."""
    from napari_biomedparse.io.write import write_table

    write_table(output, main.rows, main.columns)
    for name, table in others.items():
        path = _beside(output, name)
        if table.rows:
            write_table(path, table.rows, table.columns)
        elif path.exists():
            path.unlink()
            typer.echo(f"{path} was of an earlier run and is removed: this run did not measure it.", err=True)


def _beside(output: Path, name: str) -> Path:
    """Return where a further table goes: ``results.tasks.csv`` beside ``results.csv``."""
    return output.with_name(f"{output.name.removesuffix('.csv')}.{name}.csv")


def _is_table_of(output: Path, path: Path) -> bool:
    from napari_biomedparse.evaluation.figures import Figures

    return path.resolve() in {output.resolve(), *(_beside(output, name).resolve() for name in Figures().tables())}


def _print_figures(main: EvaluationTable, others: dict[str, EvaluationTable]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    words, numbers = _shown(main)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in words:
        table.add_column(_WORDS[column], overflow="fold")
    for column in numbers:
        table.add_column(_NUMBERS[column], justify="right", min_width=len(max(_NUMBERS[column].split(), key=len)))
    for row in main.rows:
        table.add_row(*(_short(row[column]) for column in (*words, *numbers)))
    # No markup: brackets in the name of a set are just that.
    console = Console(width=None if sys.stdout.isatty() else _UNLIMITED, markup=False, highlight=False)
    console.print(table)
    for name, (first, columns) in _SUMMARIES.items():
        for row in others[name].rows[:first]:
            said = ", ".join(f"{column} {_short(row[column])}" for column in columns)
            console.print(f"{name}: {said}", soft_wrap=True)


def _shown(main: EvaluationTable) -> tuple[list[str], list[str]]:
    """Return the columns of words and of numbers to show, without those that are empty or say nothing new."""
    words = ["dataset", "target"]
    # Only where a set has a target in several modalities or sites.
    words[1:1] = [
        place
        for place in ("modality", "site")
        if len({(row["dataset"], row["target"], row[place]) for row in main.rows})
        > len({(row["dataset"], row["target"]) for row in main.rows})
    ]
    if any(row["prompt"] != row["target"] for row in main.rows):
        words.append("prompt")
    return words, [column for column in _NUMBERS if any(row[column] != "" for row in main.rows)]


def _short(value: str | int | float) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
