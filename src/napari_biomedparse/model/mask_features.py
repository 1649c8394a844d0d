"""The last convolution of the pixel decoder, and how to need little of it.

Mask features are a convolution of the finest map, and everything asked of them is linear: a mask is their dot product
with a query's embedding, an attention mask needs them resized. So both are computed from the finest map itself, exactly
up to rounding, for a small part of the arithmetic of the whole convolution.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MaskFeatures(nn.Conv2d):
    """A 3 x 3 convolution of the finest map (B, dim, H / 4, W / 4), with shortcuts for what follows it."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, dim, 3, padding=1)

    @torch.no_grad()
    def resized(self, finest: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the mask features resized bilinearly to strides 32, 16 and 8, without gradients.

        Halving, quartering or eighthing a map bilinearly (``align_corners=False``) averages the 2 x 2 values in the
        middle of each cell. Averaging comes first here and the convolution visits only those places.
        """
        averaged = F.avg_pool2d(finest, 2, stride=1, padding=1)
        eighth, quarter, half = (self._visit(averaged, factor) for factor in (8, 4, 2))
        return eighth, quarter, half

    def _visit(self, averaged: Tensor, factor: int) -> Tensor:
        first = factor // 2 - 1
        return F.conv2d(averaged[:, :, first:, first:], self.weight, self.bias, stride=factor)

    def logits(self, masks: Tensor, finest: Tensor) -> Tensor:
        """Return the mask logits of P query embeddings on each image.

        Embedding and convolution are folded into one kernel per query.

        Parameters
        ----------
        masks
            (B, P, dim).
        finest
            (B, dim, h, w).

        Returns
        -------
        Tensor
            (B, P, h, w).
        """
        images, queries, _ = masks.shape
        height, width = finest.shape[2:]
        # Folding adds each value to its neighbours, a convolution gathers from them: hence the flipped kernel.
        kernels = torch.einsum("bpo,oikl->bpkli", masks, self.weight.flip(2, 3)).flatten(1, 3)
        taps = (kernels @ finest.flatten(2)).reshape(images * queries, 9, height * width)
        logits = F.fold(taps, (height, width), 3, padding=1).reshape(images, queries, height, width)
        return logits if self.bias is None else logits + (masks @ self.bias)[..., None, None]
