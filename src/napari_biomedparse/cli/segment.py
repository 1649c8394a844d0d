"""``napari-biomedparse segment``."""

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


def segment(
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    prompt: Annotated[list[str], typer.Option(help="What to look for; repeat for several objects.")],
    output: Annotated[Path, typer.Option(help="Folder for labels and tables; made if needed.")],
    modality: Annotated[
        str | None, typer.Option(help="Kind of image, as 'pathology': asks the model in words that it knows there.")
    ] = None,
    diameter: Diameter = None,
    window: Window = None,
    fit: Fit = "pad",
    model: Model = "mini",
    device: Device = "auto",
    precision: Precision = "float32",
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Probability above which a pixel counts.")] = 0.5,
    instances: Annotated[bool, typer.Option(help="Number separate objects instead of prompts.")] = False,
    overlay: Annotated[bool, typer.Option(help="Also write a picture of the labels over the image.")] = False,
    coco: Annotated[bool, typer.Option(help="Also write the objects of all images to coco.json.")] = False,
    t: TimePoint = None,
    c: Channel = None,
    z: Section = None,
    scene: Scene = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Segment images; write a label image, its names and a table of objects for each."""
    with clear_errors():
        from napari_biomedparse.by_file.outputs import Outputs, coco_dataset
        from napari_biomedparse.by_file.segment import SegmentationJob, segment_file
        from napari_biomedparse.engine.hounsfield import named_intensity
        from napari_biomedparse.engine.predictor import Predictor
        from napari_biomedparse.engine.preprocess import check_fit
        from napari_biomedparse.engine.prompts import check_prompts
        from napari_biomedparse.io.read import PlaneIndex

        prompts = list(dict.fromkeys(prompt))
        check_prompts(prompts)
        shown, fitted = named_intensity(window), check_fit(fit)
        outputs = Outputs(output, overlay, coco, scene=scene)
        outputs.check(images, overwrite)
        job = SegmentationJob(
            prompts, outputs, threshold, instances, PlaneIndex(t, c, z, scene), modality, diameter, shown, fitted
        )
        predictor = Predictor.from_pretrained(model, device, precision)  # type: ignore[arg-type]
        output.mkdir(parents=True, exist_ok=True)

    dataset = coco_dataset(prompts, model) if coco else None

    def run(path: Path, report: Callable[[Any], None]) -> dict[str, Any]:
        return {**segment_file(predictor, path, job, report, dataset), "model": model}

    summaries, failed = run_over(images, run, as_json)
    if dataset is not None and summaries:
        with clear_errors():
            dataset.write(outputs.coco_path)
    finish(summaries, failed, as_json, _print_summaries)


def _print_summaries(summaries: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("image", "prompt", "confidence", "objects", "area (px)")
    for summary in summaries:
        for entry in summary["prompts"]:
            table.add_row(
                Path(summary["image"]).name,
                entry["prompt"] + (f" (did you mean {entry['suggestions'][0]}?)" if entry["suggestions"] else ""),
                f"{entry['confidence']:.2f}" + ("" if entry["depends_on_words"] else " (whatever the words)"),
                str(entry["objects"]),
                str(entry["area_px"]),
            )
    Console().print(table)
