"""Decode prompts on encoded tiles, as many at a time as fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from napari_biomedparse.engine.device import Precision, arithmetic
from napari_biomedparse.engine.preprocess import Frame
from napari_biomedparse.engine.resample import unlay
from napari_biomedparse.model.biomedparse import BiomedParse, DecodedPrompts
from napari_biomedparse.model.mask_decoder import ImageFeatures
from napari_biomedparse.model.text_encoder import TextFeatures

# Prompts are decoded together while their intermediate results fit in this many bytes.
DECODED_BYTES = 1 << 29


def decode(
    model: BiomedParse,
    features: ImageFeatures,
    text: TextFeatures,
    precision: Precision,
    device: torch.device,
    cores: bool = False,
    absence: float = 0.0,
) -> Iterator[DecodedPrompts]:
    """Decode prompts on B tiles as :meth:`.BiomedParse.decode` does, some at a time; on a CPU always in float32."""
    config = model.config
    # Per tile and prompt: what each query sees of the finest level (logits, sum and mask), and its nine taps.
    each = config.mask_decoder.queries * (config.input_size // 8) ** 2 * 9 + (config.input_size // 4) ** 2 * 36
    together = max(1, DECODED_BYTES // (each * len(features.finest)))
    with arithmetic("float32" if device.type == "cpu" else precision, device):
        for first in range(0, len(text.tokens), together):
            yield model.decode(features, text.part(first, first + together), cores, absence)


def probabilities(
    parts: Iterator[DecodedPrompts], frame: Frame, size: int, cored: Sequence[int]
) -> NDArray[np.float32]:
    """Return the probabilities of P decoded prompts on B tiles of a network of input ``size``.

    Parameters
    ----------
    parts
        From :func:`decode`.
    frame
        Where the tiles lie in the network's input.
    size
        Side of the input in pixels.
    cored
        The prompts, by place, whose inner parts are wanted too.

    Returns
    -------
    ndarray
        float32 (B, P + cored, h, w); the inner parts come last.
    """
    decoded = list(parts)
    logits = [part.logits for part in decoded]
    if cored:
        logits.append(torch.cat([part.cores for part in decoded if part.cores is not None], dim=1)[:, list(cored)])
    together = logits[0] if len(logits) == 1 else torch.cat(logits, dim=1)
    found: NDArray[np.float32] = unlay(together.float(), frame, size).sigmoid_().cpu().numpy()
    return found
