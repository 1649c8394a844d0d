"""Draw the model's best, median and worst answer to each target of some data sets: successes and failures alike.

python docs/show_answers.py DATA/HC18 DATA/HRF --output answers.png
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Annotated

import matplotlib.pyplot as plt
import typer

from napari_biomedparse import Predictor
from napari_biomedparse.engine.preprocess import to_rgb
from napari_biomedparse.evaluation.overlap import dice
from napari_biomedparse.training.dataset import Example, read_split

TRUTH, FOUND = "#56b4e9", "#e69f00"


def main(
    data: Annotated[list[Path], typer.Argument(help="Folders in the BiomedParseData layout.")],
    output: Annotated[Path, typer.Option(help="Picture to write.")],
    model: Annotated[str, typer.Option(help="A preset's name or the path of a checkpoint.")] = "mini",
) -> None:
    """Measure all test images, then draw three of each target."""
    predictor = Predictor.from_pretrained(model)
    rows = [row for folder in data for row in _ranked(predictor, folder)]
    figure, axes = plt.subplots(len(rows), 3, figsize=(7.5, 2.6 * len(rows)), squeeze=False, layout="constrained")
    for line, (target, ranked) in zip(axes, rows, strict=True):
        places = {"best": ranked[-1], "median": ranked[len(ranked) // 2], "worst": ranked[0]}
        for cell, (name, (score, example)) in zip(line, places.items(), strict=True):
            image = example.read_image()
            (mask,) = predictor.segment(image, [target])
            cell.imshow(to_rgb(image))
            for pixels, colour in ((example.read_mask(target), TRUTH), (mask.mask(), FOUND)):
                if pixels.any() and not pixels.all():
                    cell.contour(pixels, [0.5], colors=colour, linewidths=0.8)
            cell.set_title(f"{example.dataset}\n{target}: {name} of {len(ranked)}, Dice {score:.2f}", fontsize=7)
            cell.axis("off")
    figure.savefig(output, dpi=110)


def _ranked(predictor: Predictor, folder: Path) -> list[tuple[str, list[tuple[float, Example]]]]:
    """Return for each target its test images by Dice, the worst first."""
    scores: dict[str, list[tuple[float, Example]]] = defaultdict(list)
    for example in read_split(folder, "test"):
        for mask in predictor.segment(example.read_image(), list(example.masks)):
            scores[mask.prompt].append((dice(mask.mask(), example.read_mask(mask.prompt)), example))
    return [(target, sorted(found, key=lambda pair: pair[0])) for target, found in scores.items()]


if __name__ == "__main__":
    typer.run(main)
