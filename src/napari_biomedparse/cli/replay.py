"""``napari-biomedparse replay``: do again what a layer's recipe says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_biomedparse.cli.common import Device, Overwrite, clear_errors


def replay(
    image: Annotated[Path, typer.Argument(help="Image file.")],
    recipe: Annotated[str, typer.Option(help="The recipe, or a file with it.")],
    output: Annotated[Path, typer.Option(help="File for the labels, such as labels.ome.tif or labels.ome.zarr.")],
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Make the same labels as in napari, from the recipe of a layer."""
    with clear_errors():
        import hashlib

        from napari_biomedparse.engine.follow import labels_of
        from napari_biomedparse.engine.predictor import Predictor
        from napari_biomedparse.engine.recipe import Recipe
        from napari_biomedparse.io.export import ending_of, export
        from napari_biomedparse.io.read import read_array
        from napari_biomedparse.io.result import Export
        from napari_biomedparse.weights import locate

        ending_of(output)
        if output.exists() and not overwrite:
            raise ValueError(f"{output} is there already; add --overwrite to replace it, or choose another file.")
        text = recipe if recipe.lstrip().startswith("{") else Path(recipe).read_text(encoding="utf-8")
        wanted = Recipe.from_json(text)
        weights = Path(locate(wanted.model))
        with weights.open("rb") as file:
            if wanted.weights and hashlib.file_digest(file, "sha256").hexdigest() != wanted.weights:
                raise ValueError(f"{weights} is not the model of the recipe: its SHA-256 is another one.")
        array = read_array(image, wanted.selection.axes, wanted.selection.rgb)
        followed = labels_of(wanted, array, Predictor.from_pretrained(weights, device))
        axes = wanted.selection.axes
        export(Export(followed.values, axes, followed.names, source=image, model=wanted.model), output, overwrite)
        typer.echo(str(output))
