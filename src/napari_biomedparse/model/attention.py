"""Multi-head attention over keys and values that may be computed beforehand, and sine positions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Multi-head attention with separate calls for projecting keys/values and for attending.

    The projections are those of :class:`torch.nn.MultiheadAttention`, kept in one matrix ``project_in``
    of shape (3 * dim, dim): query, key, value.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.dim = dim
        self.heads = heads
        self.project_in = nn.Parameter(torch.empty(3 * dim, dim))
        self.bias_in = nn.Parameter(torch.zeros(3 * dim))
        self.project_out = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.project_in)

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:-1], self.heads, self.dim // self.heads).transpose(-3, -2)

    def _project(self, x: Tensor, first: int, count: int = 1) -> Sequence[Tensor]:
        """Project to ``count`` of query, key and value, counted from ``first``: (B, heads, N, C / heads) each."""
        rows = slice(first * self.dim, (first + count) * self.dim)
        projected = F.linear(x, self.project_in[rows], self.bias_in[rows])
        return [self._split(part) for part in torch.split(projected, self.dim, dim=-1)]

    def keys_values(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Project keys and values, (B, N, C) each, to (B, heads, N, C / heads)."""
        return self._project(key, 1)[0], self._project(value, 2)[0]

    def attend(self, query: Tensor, key: Tensor, value: Tensor, visible: Tensor | None = None) -> Tensor:
        """Attend to projected keys and values.

        Parameters
        ----------
        query
            (B, M, C), not projected yet.
        key, value
            (B, heads, N, C / heads) from :meth:`keys_values`.
        visible
            Broadcastable to (B, heads, M, N): bool, True where a key may be seen; or float, added to the scores.

        Returns
        -------
        Tensor
            (B, M, C).
        """
        return self._mix(self._project(query, 0)[0], key, value, visible, causal=False)

    def forward(self, x: Tensor, value: Tensor, visible: Tensor | None = None, causal: bool = False) -> Tensor:
        """Attend from and to ``x``, reading ``value``, both (B, N, C).

        Parameters
        ----------
        x
            What queries and keys are projected from.
        value
            What values are projected from.
        visible
            As for :meth:`attend`.
        causal
            Whether position n sees only positions up to n.
        """
        if value is x:
            query, key, content = self._project(x, 0, 3)
        else:
            query, key = self._project(x, 0, 2)
            (content,) = self._project(value, 2)
        return self._mix(query, key, content, visible, causal)

    def _mix(self, query: Tensor, key: Tensor, value: Tensor, visible: Tensor | None, causal: bool) -> Tensor:
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=visible, is_causal=causal)
        out: Tensor = self.project_out(mixed.transpose(-3, -2).flatten(-2))
        return out


def sine_positions(height: int, width: int, dim: int, like: Tensor) -> Tensor:
    """Return two-dimensional sine positions, (height * width, dim), rows first.

    Half of the features encode y, half x; coordinates run from 1 to n, divided by n + 1e-6 and multiplied by
    2 pi; temperature 10000; sine on even and cosine on odd features (Carion et al., DETR, 2020).

    Parameters
    ----------
    height, width
        Size of the map in positions.
    dim
        Number of features, a multiple of 4.
    like
        Tensor whose device the result gets; computed and returned in float32.
    """

    def axis(length: int) -> Tensor:
        features = torch.arange(dim // 2, device=like.device)
        period = 10000 ** (2 * (features // 2) / (dim // 2))
        place = torch.arange(1, length + 1, device=like.device) / (length + 1e-6) * 2 * math.pi
        angle = place[:, None] / period
        return torch.where(features % 2 == 0, angle.sin(), angle.cos())

    y = axis(height)[:, None].expand(height, width, dim // 2)
    x = axis(width)[None].expand(height, width, dim // 2)
    return torch.cat([y, x], dim=-1).flatten(0, 1)
