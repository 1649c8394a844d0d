"""``napari-biomedparse replay``: do again what a layer's recipe says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from napari_biomedparse.cli.common import Device, Overwrite, Scene, clear_errors
from napari_biomedparse.errors import SettingError


def replay(
    image: Annotated[Path, typer.Argument(help="Image file.")],
    recipe: Annotated[str, typer.Option(help="The recipe, or a file with it.")],
    output: Annotated[
        Path,
        typer.Option(help="File for the labels, such as labels.ome.tif, or for a table of them, such as labels.csv."),
    ],
    scene: Scene = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Make the same labels as in napari, from the recipe of a layer."""
    with clear_errors():
        from napari_biomedparse.engine.follow import labels_of
        from napari_biomedparse.engine.predictor import Predictor
        from napari_biomedparse.engine.recipe import Recipe
        from napari_biomedparse.io.export import check_target, export
        from napari_biomedparse.io.opened import open_image
        from napari_biomedparse.io.read import read_array
        from napari_biomedparse.io.result import Export
        from napari_biomedparse.ontology.palette import by_label, palette
        from napari_biomedparse.weights import locate
        from napari_biomedparse.weights.files import sha256_of

        if output.exists() and not overwrite:
            raise SettingError(f"{output} is there already; add --overwrite to replace it, or choose another file.")
        check_target(output, overwrite, image)
        text = recipe if recipe.lstrip().startswith("{") else Path(recipe).read_text(encoding="utf-8")
        wanted = Recipe.from_json(text)
        weights = Path(locate(wanted.model))
        if wanted.weights and sha256_of(weights) != wanted.weights:
            raise SettingError(f"{weights} is not the model of the recipe: its SHA-256 is another one.")
        chosen = wanted.selection
        array = [read_array(image, chosen.axes, chosen.rgb, level, scene) for level in range(chosen.level + 1)]
        found = labels_of(replace(wanted, source=str(image)), array, Predictor.from_pretrained(weights, device))
        prompts = found.findings.prompts
        colours = dict(zip(prompts, palette(prompts), strict=True))
        opened = open_image(image, scene)
        made = Export.of(
            found.findings,
            wanted,
            found.values,
            found.names,
            found.findings.stack.spacing(opened.spacing),
            opened.unit,
            opened.channels,
            colours=by_label(found.names, colours, wanted.paint.instances),
            source=image,
        )
        export(made, output, overwrite)
        typer.echo(str(output))
