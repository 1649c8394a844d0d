"""FocalNet: the image encoder (Yang et al., Focal Modulation Networks, NeurIPS 2022; sizes of BiomedParse)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_biomedparse.model import image_encoder_lean
from napari_biomedparse.model.config import ImageEncoderConfig


class FocalModulation(nn.Module):
    """Mix each position with contexts of growing reach instead of attending to all others."""

    def __init__(self, dim: int, levels: int, window: int) -> None:
        super().__init__()
        self.split = (dim, dim, levels + 1)
        self.project_in = nn.Linear(dim, sum(self.split))
        self.contexts = nn.ModuleList(
            nn.Conv2d(dim, dim, kernel, padding=kernel // 2, groups=dim, bias=False)
            for kernel in range(window, window + 2 * levels, 2)
        )
        self.modulator = nn.Conv2d(dim, dim, 1)
        self.project_out = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Modulate ``x``, (B, H, W, C) -> (B, H, W, C)."""
        query, context, gates = self.project_in(x).permute(0, 3, 1, 2).split(self.split, dim=1)
        # Depthwise convolutions in bfloat16 are some 30 times slower than in float32 on CPUs (torch 2.13).
        with torch.autocast("cpu", enabled=False):
            context = context.float() if context.device.type == "cpu" else context
            gathered = torch.zeros_like(context)
            for level, convolution in enumerate(self.contexts):
                context = F.gelu(convolution(context))
                gathered = gathered + context * gates[:, level : level + 1]
            whole = F.gelu(context.mean(dim=(2, 3), keepdim=True))
            gathered = (gathered + whole * gates[:, -1:]) / (len(self.contexts) + 1)
        modulated = query * self.modulator(gathered)
        out: Tensor = self.project_out(modulated.permute(0, 2, 3, 1))
        return out


class FocalBlock(nn.Module):
    """Modulation and MLP, each normalised after itself, scaled per channel and added."""

    def __init__(self, dim: int, config: ImageEncoderConfig, drop_path: float) -> None:
        super().__init__()
        self.modulation = FocalModulation(dim, config.focal_levels, config.focal_window)
        self.norm1 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(
            nn.Linear(dim, config.mlp_ratio * dim), nn.GELU(), nn.Linear(config.mlp_ratio * dim, dim)
        )
        self.norm2 = nn.LayerNorm(dim)
        self.scale1 = nn.Parameter(torch.full((dim,), config.layer_scale))
        self.scale2 = nn.Parameter(torch.full((dim,), config.layer_scale))
        self.drop_path = drop_path

    def _dropped(self, branch: Tensor) -> Tensor:
        if not self.training or self.drop_path == 0:
            return branch
        kept = 1 - self.drop_path
        return branch * branch.new_empty(len(branch), 1, 1, 1).bernoulli_(kept) / kept

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, (B, H, W, C) -> (B, H, W, C)."""
        x = x + self._dropped(self.scale1 * self.norm1(self.modulation(x)))
        return x + self._dropped(self.scale2 * self.norm2(self.mlp(x)))


class PatchEmbed(nn.Module):
    """A strided convolution and a norm over channels: the stem, and the step between two stages."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.stride = stride
        self.project = nn.Conv2d(inputs, outputs, kernel, stride, padding)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Shrink ``x``, (B, H, W, C) -> (B, H / stride, W / stride, C'); odd sizes are padded with zeros."""
        x = x.permute(0, 3, 1, 2)
        down, right = -x.shape[2] % self.stride, -x.shape[3] % self.stride
        if down or right:
            x = F.pad(x, (0, right, 0, down))
        out: Tensor = self.norm(self.project(x).permute(0, 2, 3, 1))
        return out


class ImageEncoder(nn.Module):
    """Four stages of focal blocks; one normalised feature map per stage.

    Parameters
    ----------
    config
        Its sizes.
    """

    def __init__(self, config: ImageEncoderConfig) -> None:
        super().__init__()
        channels = config.channels
        steps = sum(config.depths)
        rates = iter(config.drop_path * step / max(steps - 1, 1) for step in range(steps))
        self.embeds = nn.ModuleList([PatchEmbed(3, channels[0], 7, 4, 2)])
        self.embeds.extend(PatchEmbed(a, b, 3, 2, 1) for a, b in pairwise(channels))
        self.stages = nn.ModuleList(
            nn.Sequential(*(FocalBlock(dim, config, next(rates)) for _ in range(depth)))
            for dim, depth in zip(channels, config.depths, strict=True)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for dim in channels)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Encode a normalised image.

        Parameters
        ----------
        image
            (B, 3, H, W), float.

        Returns
        -------
        list of Tensor
            Maps (B, C, H / s, W / s) for the strides s = 4, 8, 16, 32.
        """
        plain = self.training or torch.is_grad_enabled() or torch.is_autocast_enabled("cpu")
        if not plain and image.device.type == "cpu" and image.dtype == torch.float32:
            return image_encoder_lean.encode(self, image)
        x = image.permute(0, 2, 3, 1)
        maps = []
        for embed, stage, norm in zip(self.embeds, self.stages, self.norms, strict=True):
            x = stage(embed(x))
            maps.append(norm(x).permute(0, 3, 1, 2))
        return maps
