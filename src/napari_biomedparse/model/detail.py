"""A finer map beside the mask features, for networks whose small input would blur thin and small objects.

The published network has none: its masks are a quarter of its input's side, 256 pixels. A network with a quarter of
that input gets this path, so that masks are half of the input's side.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DetailPath(nn.Module):
    """Edges from the image itself, guided by the finest map of the pixel decoder.

    What it adds to the masks starts at zero, so a trained network can be given one without losing what it knows.

    Parameters
    ----------
    dim
        Channels of the finest map and of the mask embeddings.
    channels
        Channels of the detail map, a multiple of 4.
    """

    def __init__(self, dim: int, channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, stride=2, padding=1)
        self.edges = nn.Conv2d(channels, channels, 3, padding=1)
        self.guide = nn.Conv2d(dim, channels, 1)
        self.norm = nn.GroupNorm(4, channels)
        self.output = nn.Conv2d(channels, channels, 3, padding=1)
        self.embedding = nn.Linear(dim, channels)
        nn.init.zeros_(self.embedding.weight)
        nn.init.zeros_(self.embedding.bias)

    def forward(self, image: Tensor, finest: Tensor) -> Tensor:
        """Return the detail map.

        Parameters
        ----------
        image
            Normalised, (B, 3, H, W).
        finest
            (B, dim, H / 4, W / 4).

        Returns
        -------
        Tensor
            (B, channels, H / 2, W / 2).
        """
        # Few channels of many pixels: CPUs convolve them in half the time when a pixel's channels lie side by side.
        edges = self.edges(F.gelu(self.stem(image.contiguous(memory_format=torch.channels_last))))
        guide = F.interpolate(self.guide(finest), scale_factor=2.0, mode="nearest")
        out: Tensor = self.output(F.gelu(self.norm(edges + guide)))
        return out

    def refine(self, logits: Tensor, masks: Tensor, detail: Tensor) -> Tensor:
        """Enlarge mask logits twice and add what the detail map says.

        Parameters
        ----------
        logits
            (B, P, h, w).
        masks
            The mask embeddings that they came from, (B, P, dim).
        detail
            (B, channels, 2 * h, 2 * w).
        """
        enlarged = F.interpolate(logits, scale_factor=2.0, mode="bilinear", align_corners=False)
        added = torch.bmm(self.embedding(masks), detail.flatten(2))
        out: Tensor = enlarged + added.reshape(enlarged.shape)
        return out
