"""A picture of the labels over their image, for a first look and for slides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor
from skimage.segmentation import find_boundaries

from napari_biomedparse.engine.labels import LabelImage
from napari_biomedparse.ontology import colour_of

# Share of the object's colour inside its outline.
FILL = 0.3


def draw_overlay(rgb: NDArray[np.uint8], labels: LabelImage) -> NDArray[np.uint8]:
    """Draw each object in its colour: a light fill and a full outline.

    Parameters
    ----------
    rgb
        The image as the network sees it, uint8 (H, W, 3).
    labels
        Its labels, of the same height and width.

    Returns
    -------
    ndarray
        uint8 (H, W, 3).
    """
    prompts = list(dict.fromkeys(labels.names.values()))
    palette = np.zeros((max(labels.names, default=0) + 1, 3), np.float32)
    for value, prompt in labels.names.items():
        palette[value] = ImageColor.getrgb(colour_of(prompt, prompts.index(prompt) + 1))[:3]
    colours = palette[labels.values]
    share = np.where(labels.values > 0, np.float32(FILL), np.float32(0))
    share[find_boundaries(labels.values, mode="inner")] = 1
    drawn = rgb + (colours - rgb) * share[..., None]
    picture: NDArray[np.uint8] = np.rint(drawn).astype(np.uint8)
    return picture
