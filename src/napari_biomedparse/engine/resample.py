"""From masks on the network's square input back to the image's pixels."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from napari_biomedparse.engine.preprocess import Frame


def unlay(logits: Tensor, frame: Frame, size: int) -> Tensor:
    """Bring mask logits of the square input back to the region's pixels, in one bilinear step.

    Bilinear sampling is the same along rows and columns, so it is done with one matrix for each.

    Parameters
    ----------
    logits
        (B, P, h, w), covering the whole input.
    frame
        Where the region lies in the input.
    size
        Side of the input in pixels.

    Returns
    -------
    Tensor
        (B, P, region height, region width).
    """
    rows = _sampling(logits.shape[-2], frame.region[0], frame.top, frame.height, size)
    columns = _sampling(logits.shape[-1], frame.region[1], frame.left, frame.width, size)
    return rows.to(logits) @ logits @ columns.to(logits).T


@lru_cache(maxsize=64)
def _sampling(known: int, wanted: int, start: int, length: int, size: int) -> Tensor:
    """Return the weights (wanted, known) that read ``wanted`` pixels from a map's ``known`` along one axis."""
    place = (start + (torch.arange(wanted) + 0.5) * length / wanted) / size * known - 0.5
    place = place.clamp(0, known - 1)
    below = place.floor().long().clamp(max=max(known - 2, 0))
    above = (below + 1).clamp(max=known - 1)
    share = place - below
    weights = torch.zeros(wanted, known)
    index = torch.arange(wanted)
    weights[index, above] = share
    weights[index, below] += 1 - share
    return weights
