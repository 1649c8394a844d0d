"""The level of a pyramid that suits a model and what is looked for, in the window and over files alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

from napari_biomedparse.engine.stack import choose_level
from napari_biomedparse.ontology import Scale, scale_of
from napari_biomedparse.weights.header import config_of


def level_for(
    shapes: Sequence[tuple[int, int]],
    prompts: Sequence[str],
    model: str,
    pixel: float | None = None,
    share: float = 1.0,
) -> int:
    """Return the level of a pyramid that suits what is looked for and the model that is asked.

    Organs are looked for on the coarsest level that fills the network's input: more pixels change nothing. Of 195
    answers of ``mini`` on images of 512 pixels, twice its input, the mean Dice coefficient was 0.5932, and 0.5931 on
    their halves.

    Parameters
    ----------
    shapes
        Heights and widths of the planes, finest level first.
    prompts
        What is looked for; everything if there is none.
    model
        Name or path of the model, as for :func:`~napari_biomedparse.weights.locate`.
    pixel
        Side of the finest level's pixels in micrometres, if known.
    share
        How much of the planes' longer side is looked at, 0-1: a part has to fill the input by itself.
    """
    scales: list[Scale] = [scale_of(prompt) for prompt in prompts] or ["organ", "cell"]
    return choose_level(shapes, scales, math.ceil(config_of(model).input_size / share), pixel)
