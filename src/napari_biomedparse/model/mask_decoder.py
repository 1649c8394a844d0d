"""Mask decoder: object queries look at the image and the prompt, and one of them becomes the mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_biomedparse.model.attention import Attention, sine_positions
from napari_biomedparse.model.config import MaskDecoderConfig
from napari_biomedparse.model.text_encoder import TextFeatures

# Largest factor on cosine similarities, as in CLIP.
MAX_SCALE = 100.0
# Added to norms when the published code normalises embeddings.
NORM_EPSILON = 1e-7


class ImageFeatures(NamedTuple):
    """What the decoder needs of B images, whatever the prompt.

    ``keys`` and ``values`` hold one (B, heads, N, dim / heads) tensor per decoder layer, ``resized`` the mask
    features brought to the three feature levels (B, dim, h, w), ``finest`` (B, dim, H / 4, W / 4) is the map that the
    mask features are convolved from, ``detail`` (B, channels, H / 2, W / 2) the detail map of a network that has one.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    resized: tuple[Tensor, ...]
    finest: Tensor
    detail: Tensor | None = None

    @property
    def nbytes(self) -> int:
        """Bytes held by the tensors."""
        tensors = (*self.keys, *self.values, *self.resized, self.finest)
        tensors = tensors if self.detail is None else (*tensors, self.detail)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def float(self) -> ImageFeatures:
        """Return the same features in float32."""
        keys, values, resized = (tuple(t.float() for t in part) for part in (self.keys, self.values, self.resized))
        detail = None if self.detail is None else self.detail.float()
        return ImageFeatures(keys, values, resized, self.finest.float(), detail)


def normalise_embedding(embedding: Tensor) -> Tensor:
    """Return embeddings (..., dim) of length one, as the published code computes them."""
    length: Tensor = embedding.norm(dim=-1, keepdim=True)
    return embedding / (length + NORM_EPSILON)


class QueryHeads(NamedTuple):
    """The queries between two layers: normalised ``states`` and mask embeddings ``masks``, both (B, P, Q, dim)."""

    states: Tensor
    masks: Tensor


def feedforward(dim: int, hidden: int) -> nn.Sequential:
    """Return a two-layer ReLU perceptron."""
    return nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))


def mask_head(dim: int) -> nn.Sequential:
    """Return the perceptron from a query's state to its mask embedding."""
    return nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))


class DecoderLayer(nn.Module):
    """Masked cross-attention of the queries, self-attention of queries and tokens, feed-forward; post-norm."""

    def __init__(self, dim: int, config: MaskDecoderConfig) -> None:
        super().__init__()
        self.cross_attention = Attention(dim, config.heads)
        self.cross_norm = nn.LayerNorm(dim)
        self.self_attention = Attention(dim, config.heads)
        self.self_norm = nn.LayerNorm(dim)
        self.feedforward = feedforward(dim, config.feedforward)
        self.feedforward_norm = nn.LayerNorm(dim)

    def look(self, queries: Tensor, placed: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
        """Let the queries (B, N, dim) see the image; ``placed`` are the queries plus their positions."""
        seen = self.cross_attention.attend(placed, key, value, visible)
        out: Tensor = self.cross_norm(queries + seen)
        return out

    def exchange(self, states: Tensor, positions: Tensor, hidden: Tensor) -> Tensor:
        """Let each prompt's queries and tokens (B * P, Q + T, dim) see each other, but where ``hidden`` is -inf."""
        states = self.self_norm(states + self.self_attention(states + positions, states, hidden))
        out: Tensor = self.feedforward_norm(states + self.feedforward(states))
        return out


class MaskDecoder(nn.Module):
    """Decode prompts on encoded images.

    Parameters
    ----------
    dim
        Width of queries, features and text space.
    config
        Its sizes.
    cores
        Whether it has a second head of masks, for the inner parts of separate objects.
    """

    def __init__(self, dim: int, config: MaskDecoderConfig, cores: bool = False) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(config.queries, dim))
        self.query_positions = nn.Parameter(torch.randn(config.queries, dim))
        self.level_embedding = nn.Parameter(torch.randn(config.levels, dim))
        self.layers: Sequence[DecoderLayer] = nn.ModuleList(  # type: ignore[assignment]
            DecoderLayer(dim, config) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.text_head = nn.Parameter(torch.randn(dim, dim) / dim**0.5)
        self.mask_head = mask_head(dim)
        self.core_head = mask_head(dim) if cores else None
        self.logit_scale = nn.Parameter(torch.tensor(2.6592))  # log(1 / 0.07), CLIP's start

    def prepare(self, levels: list[Tensor], finest: Tensor, resized: tuple[Tensor, ...]) -> ImageFeatures:
        """Compute once per image what no prompt changes.

        Parameters
        ----------
        levels
            Three maps (B, dim, h, w), strides 32, 16, 8.
        finest
            The map that the mask features are convolved from, (B, dim, H / 4, W / 4).
        resized
            The mask features at the levels' sizes. Resizing is linear, so the attention masks may be taken from
            these instead of resizing every query's mask.
        """
        contents, placed = [], []
        for level, embedding in zip(levels, self.level_embedding, strict=True):
            height, width = level.shape[2:]
            content = level.flatten(2).transpose(1, 2) + embedding
            positions = sine_positions(height, width, content.shape[-1], like=content).to(content.dtype)
            contents.append(content)
            placed.append(content + positions)
        pairs = [
            layer.cross_attention.keys_values(placed[i % len(levels)], contents[i % len(levels)])
            for i, layer in enumerate(self.layers)
        ]
        keys, values = zip(*pairs, strict=True)
        return ImageFeatures(keys, values, resized, finest)

    def _heads(self, queries: Tensor) -> QueryHeads:
        normed = self.norm(queries)
        return QueryHeads(normed, self.mask_head(normed))

    @staticmethod
    @torch.no_grad()
    def _visible(masks: Tensor, features: Tensor) -> Tensor:
        """Return which positions each query may see, bool (B, 1, N, h * w): those inside its mask so far, or all."""
        logits = torch.einsum("bqc,bchw->bqhw", masks, features).flatten(2)
        visible = logits >= 0
        return (visible | ~visible.any(dim=-1, keepdim=True))[:, None]

    def forward(self, image: ImageFeatures, text: TextFeatures) -> list[QueryHeads]:
        """Decode P prompts on each of B images, every prompt on its own.

        Parameters
        ----------
        image
            B encoded images.
        text
            B * P prompts, those of the first image first.

        Returns
        -------
        list of QueryHeads
            The heads before the first layer and after each; the last is the answer.
        """
        images = len(image.finest)
        prompts = len(text.tokens) // images
        count, dim = self.queries.shape
        queries = self.queries.repeat(prompts, 1).expand(images, -1, -1)
        positions = self.query_positions.repeat(prompts, 1)
        tokens = text.tokens
        # Token positions are a copy of their first contents and stay fixed.
        all_positions = torch.cat([self.query_positions.expand(images * prompts, -1, -1), tokens], dim=1)
        # (B * P, 1, 1, Q + T), added to the scores: a padded token is seen by nobody.
        valid = F.pad(text.valid, (count, 0), value=True)[:, None, None]
        hidden = torch.zeros_like(valid, dtype=queries.dtype).masked_fill(~valid, float("-inf"))
        heads = [self._heads(queries)]
        for index, layer in enumerate(self.layers):
            visible = self._visible(heads[-1].masks, image.resized[index % len(image.resized)])
            queries = layer.look(queries, queries + positions, image.keys[index], image.values[index], visible)
            states = torch.cat([queries.reshape(images * prompts, count, dim), tokens], dim=1)
            states = layer.exchange(states, all_positions, hidden)
            queries, tokens = states[:, :count].reshape(images, prompts * count, dim), states[:, count:]
            heads.append(self._heads(queries))
        shape = (images, prompts, count, dim)
        return [QueryHeads(head.states.reshape(shape), head.masks.reshape(shape)) for head in heads]

    def texts(self, states: Tensor) -> Tensor:
        """Return what normalised queries, (..., dim), found, in the space of the texts."""
        return states @ self.text_head

    def similarity(self, texts: Tensor, embedding: Tensor) -> Tensor:
        """Compare queries with their prompt.

        Parameters
        ----------
        texts
            Query embeddings, (..., Q, dim).
        embedding
            Prompt embeddings, (..., dim).

        Returns
        -------
        Tensor
            Cosine similarity times ``exp(logit_scale)`` (at most 100), (..., Q), float32.
        """
        texts, embedding = normalise_embedding(texts.float()), normalise_embedding(embedding.float())
        scale = self.logit_scale.float().exp().clamp(max=MAX_SCALE)
        # A sum of products, as a matrix product would not stay in float32 under autocast, and choices hang on it.
        return scale * (texts * embedding[..., None, :]).sum(dim=-1)
