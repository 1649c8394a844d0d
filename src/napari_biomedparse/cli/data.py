"""``napari-biomedparse data``: make training data of images and masks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_biomedparse.cli.common import clear_errors, fail, progress_bar
from napari_biomedparse.errors import SettingError

if TYPE_CHECKING:
    from napari_biomedparse.harmonise.finish import Summary
    from napari_biomedparse.harmonise.mapping import Matching
    from napari_biomedparse.harmonise.review import Row

app = typer.Typer(help="Make training data of images and masks.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="Folder with images and masks.")]
Description = Annotated[
    Path | None, typer.Option(help="Description of the source; by default biomedparse.yaml in its folder.")
]
Name = Annotated[str | None, typer.Option(help="Name of the data set.")]
Modality = Annotated[str | None, typer.Option(help="Such as CT, MRI-T2, ultrasound or pathology.")]
Site = Annotated[str | None, typer.Option(help="Such as abdomen, breast or colon.")]
Licence = Annotated[str | None, typer.Option(help="Licence of images and masks.")]
Endpoint = Annotated[
    str | None, typer.Option(help="OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1; without it: offline.")
]
LanguageModelName = Annotated[str | None, typer.Option("--language-model", help="Model to ask at the endpoint.")]
KeyVariable = Annotated[str, typer.Option(help="Environment variable with the endpoint's key.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds to wait for an answer.")]
Phrasings = Annotated[int, typer.Option(min=0, help="Further phrasings to ask the language model for, per label.")]
AcceptFrom = Annotated[
    float, typer.Option(min=0, help="Similarity from which a similar name is accepted; 2 for never.")
]


@app.command()
def describe(
    source: Folder,
    description: Description = None,
    name: Name = None,
    modality: Modality = None,
    site: Site = None,
    licence: Licence = None,
) -> None:
    """Print the description of a source as it is understood, to be saved as biomedparse.yaml and changed."""
    with _harmonising():
        import yaml  # type: ignore[import-untyped]

        from napari_biomedparse.harmonise.conventions import load_source

        found = load_source(source, description, name=name, modality=modality, site=site, licence=licence)
        content = found.model_dump(mode="json", exclude_defaults=True)
        typer.echo(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), nl=False)


@app.command()
def harmonise(
    source: Folder,
    review: Annotated[Path, typer.Option(help="Review file (CSV) to write; rows that are there stay.")],
    description: Description = None,
    name: Name = None,
    modality: Modality = None,
    site: Site = None,
    endpoint: Endpoint = None,
    language_model: LanguageModelName = None,
    key_variable: KeyVariable = "OPENAI_API_KEY",
    timeout: Timeout = 120,
    phrasings: Phrasings = 0,
    accept_from: AcceptFrom = 0.92,
) -> None:
    """Find what the labels of a source mean; write a review file to check."""
    with _harmonising():
        from napari_biomedparse.harmonise.conventions import load_source
        from napari_biomedparse.harmonise.index import SourceIndex
        from napari_biomedparse.harmonise.mapping import map_labels
        from napari_biomedparse.harmonise.review import Review

        matching = _matching(endpoint, language_model, key_variable, timeout, phrasings, accept_from)
        about = load_source(source, description, name=name, modality=modality, site=site)
        file = Review(review)
        with SourceIndex(source, about) as index:
            labels = index.labels()
        with _bar("labels") as report:
            map_labels(labels, about, file, matching, report)
        _print_rows([file.rows[label] for label in sorted(labels)])
        undecided = len(file.undecided(labels))
        typer.echo(f"{review}: {len(labels)} labels, {undecided} for you to decide.")


@app.command()
def build(
    source: Folder,
    out: Annotated[Path, typer.Option(help="Folder of the data set; one of an earlier build goes on.")],
    review: Annotated[Path | None, typer.Option(help="Review file; by default review.csv in the data set.")] = None,
    description: Description = None,
    name: Name = None,
    modality: Modality = None,
    site: Site = None,
    licence: Licence = None,
    endpoint: Endpoint = None,
    language_model: LanguageModelName = None,
    key_variable: KeyVariable = "OPENAI_API_KEY",
    timeout: Timeout = 120,
    phrasings: Phrasings = 0,
    accept_from: AcceptFrom = 0.92,
    drop_undecided: Annotated[bool, typer.Option(help="Leave labels out that nobody decided.")] = False,
    size: Annotated[int, typer.Option(min=32, help="Side of the square pictures in pixels.")] = 1024,
    keep_size: Annotated[bool, typer.Option(help="Keep height and width instead.")] = False,
    test: Annotated[float, typer.Option(min=0, max=1, help="Share of patients or slides in the test split.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Changes which.")] = 0,
    min_pixels: Annotated[int, typer.Option(min=1, help="Smallest mask that counts, in pixels of the picture.")] = 10,
    empty: Annotated[
        float, typer.Option(min=0, max=1, help="Share of planes without any object to keep as negatives.")
    ] = 0.0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that make pictures.")] = 1,
    overwrite: Annotated[
        bool, typer.Option(help="Make pictures anew that other settings, labels or files would change.")
    ] = False,
) -> None:
    """Build a data set in the BiomedParseData layout; a build that was cut off goes on."""
    with _harmonising():
        from napari_biomedparse.harmonise.build import REVIEW_NAME, SCRATCH_NAME, build_dataset, check_folder
        from napari_biomedparse.harmonise.conventions import load_source
        from napari_biomedparse.harmonise.index import SourceIndex
        from napari_biomedparse.harmonise.items import Settings
        from napari_biomedparse.harmonise.mapping import map_labels
        from napari_biomedparse.harmonise.review import Review

        settings = Settings(None if keep_size else size, test, seed, min_pixels, empty)
        matching = _matching(endpoint, language_model, key_variable, timeout, phrasings, accept_from)
        about = load_source(source, description, name=name, modality=modality, site=site, licence=licence)
        check_folder(source, out)
        out.mkdir(parents=True, exist_ok=True)
        file = Review(review or out / REVIEW_NAME)
        with SourceIndex(source, about, out / SCRATCH_NAME) as index:
            with _bar("labels") as report:
                map_labels(index.labels(), about, file, matching, report)
            if drop_undecided:
                file.drop_undecided(index.labels())
            with _bar("images") as report:
                summary = build_dataset(index, file, out, settings, workers, overwrite, report)
    _print_summary(summary, out)
    if summary.failed:
        raise typer.Exit(2)


@contextmanager
def _harmonising() -> Iterator[None]:
    """Turn what a user can mend, and missing libraries, into one sentence."""
    with clear_errors():
        try:
            yield
        except ModuleNotFoundError as error:
            name = (error.name or "").partition(".")[0]
            if name in ("", "napari_biomedparse"):
                raise
            raise SettingError(f"This needs {name}: run pip install 'napari-biomedparse[data]'.") from None


@contextmanager
def _bar(what: str) -> Iterator[Any]:
    with progress_bar(False) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _matching(
    endpoint: str | None,
    language_model: str | None,
    key_variable: str,
    timeout: float,
    phrasings: int,
    accept_from: float,
) -> Matching:
    from napari_biomedparse.harmonise.language_model import LanguageModel
    from napari_biomedparse.harmonise.mapping import Matching

    if bool(endpoint) != bool(language_model):
        raise SettingError("--endpoint and --language-model go together: where to ask, and which model.")
    if phrasings and not endpoint:
        raise SettingError("--phrasings asks a language model; give --endpoint and --language-model.")
    model = LanguageModel(endpoint, language_model, key_variable, timeout) if endpoint and language_model else None
    return Matching(model, phrasings, accept_from)


def _print_rows(rows: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("label", "masks", "target", "found by", "score", "decision")
    for row in rows:
        table.add_row(row.label, str(row.masks), row.target, row.found_by, f"{row.score:.2f}", row.decision)
    Console().print(table)


def _print_summary(summary: Summary, out: Path) -> None:
    for path, reason in summary.failures:
        fail(f"{path}: {reason}")
    if summary.failed:
        fail(f"{summary.failed} images could not be used; {out / 'failed.csv'} lists them. Run again once mended.")
    for note in summary.notes:
        typer.echo(note)
    for split, counts in summary.counts.items():
        masks = ", ".join(f"{target} {number}" for target, number in sorted(counts.masks.items()))
        typer.echo(f"{split}: {counts.images} images, {counts.sentences} sentences; masks: {masks or 'none'}")
    typer.echo(f"{out}: {summary.made} source images made now, {summary.kept} were there.")
