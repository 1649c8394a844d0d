"""Pixel decoder: transformer layers on the coarsest map, then a feature pyramid (MaskFormer's design)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from napari_biomedparse.model.attention import Attention, sine_positions
from napari_biomedparse.model.config import PixelDecoderConfig
from napari_biomedparse.model.mask_features import MaskFeatures


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each normalised after the residual sum (DETR's encoder layer)."""

    def __init__(self, dim: int, config: PixelDecoderConfig) -> None:
        super().__init__()
        self.attention = Attention(dim, config.heads)
        self.norm1 = nn.LayerNorm(dim)
        self.feedforward = nn.Sequential(
            nn.Linear(dim, config.feedforward), nn.ReLU(), nn.Linear(config.feedforward, dim)
        )
        self.norm2 = nn.LayerNorm(dim)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """Update ``x`` (B, N, C); ``positions`` (N, C) are added to query and key only."""
        x = self.norm1(x + self.attention(x + positions, x))
        out: Tensor = self.norm2(x + self.feedforward(x))
        return out


class NormedConv(nn.Module):
    """A convolution without bias and a group norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.GroupNorm(groups, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        out: Tensor = self.norm(self.convolution(x))
        return out


class PixelDecoder(nn.Module):
    """Turn the encoder's four maps into three feature levels and the map that the mask features are made from.

    Parameters
    ----------
    channels
        Channels of the encoder's maps, finest first.
    dim
        Channels of every output.
    config
        Its sizes.
    """

    def __init__(self, channels: tuple[int, int, int, int], dim: int, config: PixelDecoderConfig) -> None:
        super().__init__()
        groups = config.norm_groups
        self.project_in = nn.Conv2d(channels[-1], dim, 1)
        self.layers = nn.ModuleList(EncoderLayer(dim, config) for _ in range(config.layers))
        self.laterals = nn.ModuleList(NormedConv(c, dim, 1, groups) for c in reversed(channels[:-1]))
        self.outputs = nn.ModuleList(NormedConv(dim, dim, 3, groups) for _ in channels)
        self.mask_features = MaskFeatures(dim)

    def forward(self, maps: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Decode the encoder's maps.

        Parameters
        ----------
        maps
            Four maps (B, C, H / s, W / s), strides s = 4, 8, 16, 32.

        Returns
        -------
        tuple
            Levels (B, dim, H / s, W / s) for s = 32, 16, 8, and the finest map (B, dim, H / 4, W / 4).
        """
        x = self.project_in(maps[-1])
        height, width = x.shape[2:]
        tokens = x.flatten(2).transpose(1, 2)
        positions = sine_positions(height, width, tokens.shape[-1], like=tokens).to(tokens.dtype)
        for layer in self.layers:
            tokens = layer(tokens, positions)
        x = F.relu(self.outputs[0](tokens.transpose(1, 2).unflatten(2, (height, width))))
        levels = [x]
        for map_, lateral, output in zip(reversed(maps[:-1]), self.laterals, self.outputs[1:], strict=True):
            x = lateral(map_).add_(F.interpolate(x, size=map_.shape[2:], mode="nearest"))
            x = F.relu(output(x), inplace=True)
            levels.append(x)
        return levels[:3], levels[3]
