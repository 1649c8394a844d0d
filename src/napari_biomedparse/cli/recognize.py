"""``napari-biomedparse recognize``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_biomedparse.cli.common import (
    AsJson,
    Channel,
    Device,
    Diameter,
    Fit,
    Model,
    Overwrite,
    Precision,
    Scene,
    Section,
    TimePoint,
    Window,
    clear_errors,
    finish,
    run_over,
)


def recognize(
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    output: Annotated[Path, typer.Option(help="Folder for labels and tables; made if needed.")],
    modality: Annotated[
        str | None, typer.Option(help="Whose objects to look for, such as CT-Abdomen; guessed if not given.")
    ] = None,
    diameter: Diameter = None,
    window: Window = None,
    fit: Fit = "pad",
    model: Model = "mini",
    device: Device = "auto",
    precision: Precision = "float32",
    limit: Annotated[float, typer.Option(min=0, max=1, help="p-value below which an object counts as absent.")] = 0.05,
    meta: Annotated[bool, typer.Option(help="Also say which of 16 meta-objects each is (published model).")] = False,
    overlay: Annotated[bool, typer.Option(help="Also write a picture of the labels over the image.")] = False,
    coco: Annotated[bool, typer.Option(help="Also write the objects of all images to coco.json.")] = False,
    t: TimePoint = None,
    c: Channel = None,
    z: Section = None,
    scene: Scene = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Look for every object of a modality; say for each whether it is there, and label those that are."""
    with clear_errors():
        from napari_biomedparse.by_file.outputs import Outputs, coco_dataset
        from napari_biomedparse.by_file.recognize import RecognitionJob, recognize_file
        from napari_biomedparse.engine.hounsfield import named_intensity
        from napari_biomedparse.engine.predictor import Predictor
        from napari_biomedparse.engine.preprocess import check_fit
        from napari_biomedparse.io.read import PlaneIndex

        shown, fitted = named_intensity(window), check_fit(fit)
        outputs = Outputs(output, overlay, coco, findings=True, scene=scene)
        outputs.check(images, overwrite)
        predictor = Predictor.from_pretrained(model, device, precision)  # type: ignore[arg-type]
        if modality is not None:
            modality = predictor.table.modality(modality)
        if meta:
            predictor.check_meta_objects()
        job = RecognitionJob(outputs, modality, limit, meta, PlaneIndex(t, c, z, scene), diameter, shown, fitted)
        output.mkdir(parents=True, exist_ok=True)

    lists = predictor.table.lists
    names = lists[modality] if modality else tuple(dict.fromkeys(name for listed in lists.values() for name in listed))
    dataset = coco_dataset(names, model) if coco else None

    def run(path: Path, _report: Callable[[Any], None]) -> dict[str, Any]:
        return {**recognize_file(predictor, path, job, dataset), "model": model}

    summaries, failed = run_over(images, run, as_json)
    if dataset is not None and summaries:
        with clear_errors():
            dataset.write(outputs.coco_path)
    finish(summaries, failed, as_json, _print_summaries)


def _print_summaries(summaries: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    for summary in summaries:
        how = " (guessed)" if summary["guessed"] else ""
        table = Table("object", "outcome", "p-value", "confidence", "area (px)")
        table.title = f"{Path(summary['image']).name}: {summary['modality']}{how}"
        for row in summary["findings"]:
            confidence = f"{row['confidence']:.2f}" + ("" if row["depends_on_words"] else " (whatever the words)")
            values = (row["outcome"], row["p_value"], confidence, row["area_px"])
            table.add_row(row["prompt"], *map(str, values))
        Console().print(table)
