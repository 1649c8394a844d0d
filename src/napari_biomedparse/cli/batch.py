"""``napari-biomedparse batch``: images of any size, and any number of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_biomedparse.cli.common import Channel, Device, Diameter, Model, Window, clear_errors, fail
from napari_biomedparse.errors import SettingError

if TYPE_CHECKING:
    from napari_biomedparse.engine.recipe import Recipe
    from napari_biomedparse.scale.job import Job
    from napari_biomedparse.scale.study import Outcome, Pool

# Options whose values a recipe has.
IN_RECIPE = ("prompt", "modality", "diameter", "model", "threshold", "presence", "instances", "link", "c", "window")


def batch(
    context: typer.Context,
    images: Annotated[list[Path], typer.Argument(help="Image files, OME-Zarr folders or folders of DICOM slices.")],
    output: Annotated[Path, typer.Option(help="Folder for the results; made if needed.")],
    prompt: Annotated[
        list[str] | None, typer.Option(help="What to look for; repeat for several. Everything known if left out.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="A recipe from napari, or a file with it, instead of --prompt and what follows up to --window."
        ),
    ] = None,
    modality: Annotated[str | None, typer.Option(help="Kind of image; guessed if left out.")] = None,
    diameter: Diameter = None,
    model: Model = "mini",
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Probability above which a pixel counts.")] = 0.5,
    presence: Annotated[float, typer.Option(min=0, max=1, help="p-value below which an object is left out.")] = 0.0,
    instances: Annotated[bool, typer.Option(help="Number separate objects instead of prompts.")] = False,
    link: Annotated[bool, typer.Option(help="With --instances: objects keep their number over z and t.")] = False,
    c: Channel = None,
    window: Window = None,
    device: Device = "auto",
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, instead of processes here.")
    ] = None,
    memory: Annotated[
        float, typer.Option(min=0.001, help="GiB that the pixels of a block may take in each worker.")
    ] = 1.0,
    quiet: Annotated[bool, typer.Option(help="Draw no progress bar.")] = False,
) -> None:
    """Segment images of any size into OME-Zarr labels and tables; run again, it goes on where it was stopped."""
    with clear_errors():
        from napari_biomedparse.engine.prompts import check_prompts
        from napari_biomedparse.engine.recipe import Recipe
        from napari_biomedparse.scale.cluster import Workers
        from napari_biomedparse.scale.inputs import jobs_of, with_weights
        from napari_biomedparse.scale.study import claim, run

        selection = None
        if recipe is None:
            if link and not instances:
                raise SettingError("--link is about separate objects: add --instances, or leave --link out.")
            if prompt:
                check_prompts(prompt)
            asked = _recipe(prompt or [], modality, diameter, model, threshold, presence, instances, link, c, window)
        else:
            _check_alone(context)
            text = recipe if recipe.lstrip().startswith("{") else Path(recipe).read_text(encoding="utf-8")
            asked = Recipe.from_json(text)
            selection = asked.selection
        asked = with_weights(asked)
        output = output.resolve()
        jobs, unread = jobs_of(images, asked, output, device, selection, int(memory * 2**30))
        for job in jobs:
            if job.note:
                typer.echo(f"Note: {job.path}: {job.note}.", err=True)
        outcomes: list[Outcome] = []
        if jobs:
            claim(output, asked)
            with _pool(jobs, workers, scheduler) as pool:
                shown = not quiet and isinstance(pool, Workers)
                if shown:
                    _announce(jobs, pool, asked.model, memory)
                with _bar() if shown else nullcontext(lambda _: None) as tell:
                    outcomes = run(jobs, pool, tell)
    for path, error in unread:
        fail(ValueError(str(error) if str(path) in str(error) else f"{path}: {error}"))
    for outcome in outcomes:
        _report(outcome)
    if unread or any(outcome.error for outcome in outcomes):
        typer.echo(
            "Mend or leave out what failed, and run the same command: what is finished is not done again.", err=True
        )
        raise typer.Exit(2)


def _check_alone(context: typer.Context) -> None:
    """Refuse options beside a recipe that would be passed over."""
    sources = {name: context.get_parameter_source(name) for name in IN_RECIPE}
    given = [f"--{name}" for name, source in sources.items() if source is not None and source.name != "DEFAULT"]
    if given:
        raise SettingError(f"The recipe itself says what {', '.join(given)} would: leave that out, or --recipe.")


def _recipe(
    prompts: list[str],
    modality: str | None,
    diameter: float | None,
    model: str,
    threshold: float,
    presence: float,
    instances: bool,
    link: bool,
    channel: int | None,
    window: str | None,
) -> Recipe:
    from napari_biomedparse.engine.channels import Channel as Chosen
    from napari_biomedparse.engine.hounsfield import named_window
    from napari_biomedparse.engine.paint import Paint
    from napari_biomedparse.engine.recipe import Recipe
    from napari_biomedparse.engine.selection import Selection

    paint = Paint(threshold, presence=presence, instances=instances)
    asked = tuple(dict.fromkeys(prompts))
    # What else is selected depends on the image.
    channels = (Chosen(channel or 0, named_window(window) if window else None),)
    chosen = Selection("YX", channels=() if channel is None and window is None else channels)
    return Recipe(chosen, asked, modality, model, paint=paint, link=link, diameter=diameter)


def _pool(jobs: Sequence[Job], workers: int, scheduler: str | None) -> AbstractContextManager[Pool]:
    """Return what does the work; no process is started where all is done."""
    from napari_biomedparse.scale.cluster import local_workers, workers_of
    from napari_biomedparse.scale.study import Here

    if all(job.finished for job in jobs):
        return nullcontext(Here())
    return workers_of(scheduler) if scheduler else local_workers(workers)


def _announce(jobs: Sequence[Job], pool: Pool, model: str, memory: float) -> None:
    """Say what is to be done, what memory it takes, and where it can be watched."""
    from napari_biomedparse.scale.memory import bytes_per_worker
    from napari_biomedparse.weights import locate

    each = bytes_per_worker(Path(locate(model)), int(memory * 2**30)) / 2**30
    typer.echo(
        f"Images: {len(jobs)}. Workers: {pool.workers}, each with up to {each:.1f} GiB of memory, "
        f"{memory:g} of them for a block of pixels (--memory)."
    )
    if pool.dashboard:
        typer.echo(f"Dashboard: {pool.dashboard}")


def _report(outcome: Outcome) -> None:
    job = outcome.job
    name = job.path.name + (f" [{job.scene}]" if job.scene else "")
    if outcome.error is not None:
        error = outcome.error
        text = str(error) if isinstance(error, ValueError | OSError | RuntimeError) else f"it is damaged ({error!r})"
        fail(ValueError(text if job.path.name in text else f"{name}: {text}"))
    elif outcome.finished and outcome.finished.already:
        typer.echo(f"{name}: finished before, {job.store}")
        if outcome.finished.outdated:
            again = f"to do it again, remove {job.store} and {job.table.name}"
            typer.echo(f"Warning: {name} was changed after that; {again}.", err=True)
    elif outcome.finished:
        parted = job.recipe.paint.instances
        found = ", ".join(
            f"{prompt} {count}" if parted else f"{prompt} on {count} plane{'' if count == 1 else 's'}"
            for prompt, count in outcome.finished.objects.items()
        )
        typer.echo(f"{name}: {found}; {job.store}")


def _bar() -> Any:
    """Return a bar of megapixels that the model has seen, with pace and time left."""
    from contextlib import contextmanager

    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    @contextmanager
    def shown() -> Any:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[pace]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns) as bar:
            line = bar.add_task("", total=None, pace="")

            def tell(progress: Any) -> None:
                task = bar.tasks[0]
                pace = progress.looked / task.elapsed / 1e6 if task.elapsed else 0.0
                digits = 0 if progress.pixels >= 1e7 else 1
                looked, pixels = (f"{count / 1e6:.{digits}f}" for count in (progress.looked, progress.pixels))
                bar.update(
                    line,
                    description=f"{progress.finished}/{progress.images} images",
                    completed=progress.looked,
                    total=progress.pixels or None,
                    pace=f"{looked}/{pixels} Mpx, {pace:.2f} Mpx/s",
                )

            yield tell

    return shown()
