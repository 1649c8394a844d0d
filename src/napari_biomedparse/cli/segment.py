"""``napari-biomedparse segment``."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_biomedparse.cli.common import Device, Model, clear_errors, fail, progress_bar, show_step


def segment(
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    prompt: Annotated[list[str], typer.Option(help="What to look for; repeat for several objects.")],
    output: Annotated[Path, typer.Option(help="Folder for labels and tables; made if needed.")],
    model: Model = "mini",
    device: Device = "auto",
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Probability above which a pixel counts.")] = 0.5,
    instances: Annotated[bool, typer.Option(help="Number separate objects instead of prompts.")] = False,
    overlay: Annotated[bool, typer.Option(help="Also write a picture of the labels over the image.")] = False,
    coco: Annotated[bool, typer.Option(help="Also write the objects of all images to coco.json.")] = False,
    t: Annotated[int | None, typer.Option(help="Time point of a series, from 0.")] = None,
    c: Annotated[int | None, typer.Option(help="Channel, from 0.")] = None,
    z: Annotated[int | None, typer.Option(help="Section of a stack, from 0.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace results that are there already.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Segment images; write a label image, its names and a table of objects for each."""
    with clear_errors():
        from napari_biomedparse.batch.segment_file import Job, check_outputs, coco_dataset, segment_file
        from napari_biomedparse.engine.predictor import Predictor, check_prompts

        prompts = list(dict.fromkeys(prompt))
        check_prompts(prompts)
        job = Job(prompts, output, threshold, instances, overlay, t, c, z, coco)
        check_outputs(images, job, overwrite)
        predictor = Predictor.from_pretrained(model, device)
        output.mkdir(parents=True, exist_ok=True)

    dataset = coco_dataset(prompts, model) if coco else None
    summaries: list[dict[str, Any]] = []
    failed = False
    with progress_bar(as_json) as bar:
        for path in images:
            try:
                task = bar.add_task(path.name, total=None)
                report = partial(show_step, bar, task)
                summaries.append({**segment_file(predictor, path, job, report, dataset), "model": model})
            except (ValueError, OSError) as error:
                fail(error)
                failed = True
    if dataset is not None and summaries:
        with clear_errors():
            dataset.write(job.coco_path)
    if as_json:
        typer.echo(json.dumps(summaries, ensure_ascii=False))
    else:
        _print_summaries(summaries)
    if failed:
        raise typer.Exit(2)


def _print_summaries(summaries: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("image", "prompt", "confidence", "objects", "area (px)")
    for summary in summaries:
        for entry in summary["prompts"]:
            table.add_row(
                Path(summary["image"]).name,
                entry["prompt"],
                f"{entry['confidence']:.2f}",
                str(entry["objects"]),
                str(entry["area_px"]),
            )
    if summaries:
        Console().print(table)
        typer.echo(f"Labels and tables are in {Path(summaries[0]['labels']).parent}.")
