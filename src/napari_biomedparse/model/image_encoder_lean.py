"""The image encoder on CPUs, without gradients: the same arithmetic in memory that is used again.

Taking fresh memory and walking through maps larger than the processor's cache cost more here than the arithmetic
between the matrix products. So blocks write into a stage's workspace, a block's output is written over its input, and
what is done value by value is done a few channels or rows at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from napari_biomedparse.model.image_encoder import FocalBlock, FocalModulation, ImageEncoder

# Values worked on at a time (4 MiB and 12 MiB in float32): parts of a processor's last cache.
CONTEXT_VALUES = 1 << 20
HIDDEN_VALUES = 3 << 20


class Workspace:
    """Memory for the intermediate results of one stage's blocks."""

    def __init__(self) -> None:
        self._kept: dict[str, Tensor] = {}

    def take(self, role: str, *shape: int) -> Tensor:
        """Return float32 memory for a role; its values are whatever was left there."""
        kept = self._kept.get(role)
        if kept is None or kept.shape != shape:
            kept = self._kept[role] = torch.empty(shape)
        return kept


def encode(encoder: ImageEncoder, image: Tensor) -> list[Tensor]:
    """Do :meth:`ImageEncoder.forward` for a float32 image on the CPU, without gradients."""
    x = image.permute(0, 2, 3, 1)
    maps = []
    for embed, stage, norm in zip(encoder.embeds, encoder.stages, encoder.norms, strict=True):
        x = embed(x).contiguous()
        workspace = Workspace()
        for block in stage:  # type: ignore[attr-defined]
            _run_block(block, x, workspace)
        maps.append(norm(x).permute(0, 3, 1, 2))
    return maps


def _linear(x: Tensor, weight: Tensor, bias: Tensor, out: Tensor) -> Tensor:
    return torch.mm(x, weight.T, out=out).add_(bias)


def _run_block(block: FocalBlock, x: Tensor, workspace: Workspace) -> None:
    """Replace ``x``, (B, H, W, C), by the block's output."""
    channels = x.shape[-1]
    rows, mixed = x.view(-1, channels), _modulate(block.modulation, x, workspace)
    widen, narrow = cast(nn.Linear, block.mlp[0]), cast(nn.Linear, block.mlp[2])
    step = max(1, HIDDEN_VALUES // widen.out_features)
    for part, mix in zip(torch.split(rows, step), torch.split(mixed, step), strict=True):
        part.add_(_scaled_norm(mix, block.norm1, block.scale1))
        hidden = workspace.take("hidden", len(part), widen.out_features)
        torch.ops.aten.gelu_(_linear(part, widen.weight, widen.bias, hidden))
        output = _linear(hidden, narrow.weight, narrow.bias, workspace.take("output", len(part), channels))
        part.add_(_scaled_norm(output, block.norm2, block.scale2))


def _modulate(modulation: FocalModulation, x: Tensor, workspace: Workspace) -> Tensor:
    """Return the modulation's output for ``x`` (B, H, W, C), as (B * H * W, C)."""
    images, height, width, channels = x.shape
    rows = x.view(images, height * width, channels)
    across = rows.transpose(1, 2)
    query_weight, context_weight, gate_weight = torch.split(modulation.project_in.weight, list(modulation.split))
    query_bias, context_bias, gate_bias = torch.split(modulation.project_in.bias, list(modulation.split))
    gates = (gate_weight @ across).add_(gate_bias[:, None]).view(images, -1, height, width)
    gathered = workspace.take("gathered", images, channels, height, width)
    step = max(1, CONTEXT_VALUES // (images * height * width))
    for first in range(0, channels, step):
        part = slice(first, first + step)
        context = (context_weight[part] @ across).add_(context_bias[part, None]).view(images, -1, height, width)
        _gather(modulation, context, gates, part, gathered[:, part])
    # The mean over the levels is a factor on the next weights.
    mixer = modulation.modulator.weight.flatten(1) / (len(modulation.contexts) + 1)
    modulator = workspace.take("modulator", images, height * width, channels)
    torch.bmm(gathered.flatten(2).transpose(1, 2), mixer.T.expand(images, -1, -1), out=modulator)
    modulator.add_(cast(Tensor, modulation.modulator.bias))
    query = workspace.take("query", images * height * width, channels)
    _linear(rows.view(-1, channels), query_weight, query_bias, query).mul_(modulator.view(-1, channels))
    project = modulation.project_out
    return _linear(query, project.weight, project.bias, modulator.view(-1, channels))


def _gather(modulation: FocalModulation, context: Tensor, gates: Tensor, part: slice, gathered: Tensor) -> None:
    """Write the gated sum of some channels' contexts over ``gathered``."""
    for level, convolution in enumerate(modulation.contexts):
        weight = cast(nn.Conv2d, convolution).weight[part]
        context = F.conv2d(context, weight, padding=weight.shape[-1] // 2, groups=len(weight))
        context = torch.ops.aten.gelu_(context)
        gate = gates[:, level : level + 1]
        if level:
            gathered.addcmul_(context, gate)
        else:
            torch.mul(context, gate, out=gathered)
    whole = F.gelu(context.mean(dim=(2, 3), keepdim=True))
    gathered.addcmul_(whole, gates[:, -1:])


def _scaled_norm(x: Tensor, norm: nn.LayerNorm, scale: Tensor) -> Tensor:
    """Return a layer norm's output times ``scale``, in one pass."""
    return F.layer_norm(x, norm.normalized_shape, norm.weight * scale, norm.bias * scale, norm.eps)
