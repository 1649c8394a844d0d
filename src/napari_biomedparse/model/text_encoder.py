"""CLIP-style text encoder: byte-pair tokens through a causal transformer."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from napari_biomedparse.model.attention import Attention
from napari_biomedparse.model.config import TextEncoderConfig
from napari_biomedparse.model.tokenizer import END

# The published text encoder uses this epsilon; every other norm of the model uses torch's 1e-5.
TEXT_NORM_EPSILON = 1e-12


class TextFeatures(NamedTuple):
    """Prompts in the text space.

    ``tokens`` (P, T, dim) holds each prompt's states, ``valid`` bool (P, T) marks those from start to end of
    text, ``embedding`` (P, dim) is the state at the end of text, not normalised.
    """

    tokens: Tensor
    valid: Tensor
    embedding: Tensor

    def part(self, first: int, end: int) -> TextFeatures:
        """Return some of the prompts."""
        return TextFeatures(*(part[first:end] for part in self))

    def repeat(self, images: int) -> TextFeatures:
        """Return the prompts once for each of several images."""
        return TextFeatures(*(part.repeat(images, *[1] * (part.ndim - 1)) for part in self))


class QuickGELU(nn.Module):
    """CLIP's approximation of GELU: ``x * sigmoid(1.702 x)``."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation, elementwise."""
        return x * torch.sigmoid(1.702 * x)


class TextBlock(nn.Module):
    """Causal self-attention and MLP, each normalised beforehand."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=TEXT_NORM_EPSILON)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=TEXT_NORM_EPSILON)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), QuickGELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Update ``x``, (P, T, width)."""
        normed = self.norm1(x)
        x = x + self.attention(normed, normed, causal=True)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class TextEncoder(nn.Module):
    """Encode token ids into the space that prompts and queries share.

    Parameters
    ----------
    config
        Its sizes.
    dim
        Width of the shared space.
    """

    def __init__(self, config: TextEncoderConfig, dim: int) -> None:
        super().__init__()
        self.context = config.context
        self.token_embedding = nn.Embedding(config.vocabulary, config.token_width)
        self.widen = (
            nn.Identity()
            if config.token_width == config.width
            else nn.Linear(config.token_width, config.width, bias=False)
        )
        self.positions = nn.Parameter(0.01 * torch.randn(config.context, config.width))
        self.blocks = nn.Sequential(*(TextBlock(config.width, config.heads) for _ in range(config.layers)))
        self.norm = nn.LayerNorm(config.width, eps=TEXT_NORM_EPSILON)
        self.project = nn.Parameter(torch.randn(config.width, dim) / config.width**0.5)

    def forward(self, ids: Tensor) -> TextFeatures:
        """Encode token ids, int64 (P, T) with T at most the context, from :func:`~..tokenizer.tokenize`."""
        x = self.widen(self.token_embedding(ids)) + self.positions[: ids.shape[1]]
        tokens = self.norm(self.blocks(x)) @ self.project
        ends = (ids == END).int().argmax(dim=1)
        valid = torch.arange(ids.shape[1], device=ids.device) <= ends[:, None]
        return TextFeatures(tokens, valid, tokens[torch.arange(len(ids), device=ids.device), ends])
