"""Move, bend and recolour training images; masks follow the movement, left stays left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

# Points per side of the coarse grid whose random shifts bend an image.
BENDS = 5
# Width of a pasted piece's rim, as a share of its radius.
PASTED_RIM = 0.15


@dataclass(frozen=True)
class Placement:
    """How an image is laid before the network.

    Attributes
    ----------
    zoom
        Input pixels per image pixel.
    angle
        Rotation in radians.
    centre
        Image point in the middle of the input: x, y in pixels.
    flips
        1 or -1 along x and y.
    bend
        Standard deviation of the bending, as a share of the input's half side.
    """

    zoom: float
    angle: float
    centre: tuple[float, float]
    flips: tuple[int, int]
    bend: float


def move(layers: Tensor, size: int, place: Placement, rng: np.random.Generator) -> Tensor:
    """Resample an image and its masks together.

    Parameters
    ----------
    layers
        float (C, h, w).
    size
        Side of the result.
    place
        Where the image goes; what lies outside of it is 0.
    rng
        For the bending.

    Returns
    -------
    Tensor
        float (C, size, size), interpolated bilinearly.
    """
    extent = np.array(layers.shape[:0:-1]) / 2
    turn = np.array([[np.cos(place.angle), -np.sin(place.angle)], [np.sin(place.angle), np.cos(place.angle)]])
    # From the output square in [-1, 1] to the image in [-1, 1], as grid_sample wants it.
    linear = turn * np.array(place.flips) * (size / place.zoom / 2) / extent[:, None]
    shift = (np.array(place.centre) - extent) / extent
    axis = (torch.arange(size) * 2 + 1) / size - 1
    points = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)
    if place.bend:
        coarse = torch.from_numpy(rng.normal(0, place.bend, (1, 2, BENDS, BENDS))).float()
        points = points + F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True)[0].movedim(0, -1)
    grid = points @ torch.from_numpy(linear).float().T + torch.from_numpy(shift).float()
    return F.grid_sample(layers[None], grid[None], mode="bilinear", align_corners=False)[0]


def recolour(image: Tensor, rng: np.random.Generator, strength: float = 1.0) -> Tensor:
    """Vary how an image was taken: light, contrast, colours, focus, noise; what is grey or padding stays so.

    Parameters
    ----------
    image
        float (3, H, W), values 0-255.
    rng
        For the variation.
    strength
        Factor on the spread of light, contrast and colours, and on how often light is made uneven, focus and noise
        are added; 0 changes nothing, 1 makes neighbours in one set look as if they came from different ones. The
        numbers were chosen by eye for that, not searched.
    """
    grey = is_grey(image)

    def factor(spread: float) -> float:
        return float(np.exp(rng.normal(0, strength * spread)))

    gamma, gain, offset = factor(0.35), factor(0.2), rng.normal(0, strength * 12)
    balance = torch.from_numpy(np.exp(rng.normal(0, 0.0 if grey else strength * 0.1, 3))).float()[:, None, None]
    if not grey:
        mean = image.mean(dim=0, keepdim=True)
        image = mean + (image - mean) * factor(0.25)
    varied: Tensor = 255 * (image / 255).clamp(0, 1) ** gamma * gain * balance + offset
    if rng.random() < strength * 0.3:
        varied = varied * _smooth(rng, 0.2, image.shape[1:]).exp()
    if rng.random() < strength * 0.25:
        coarse = F.interpolate(varied[None], scale_factor=float(rng.uniform(0.35, 0.9)), mode="area")
        varied = F.interpolate(coarse, size=image.shape[1:], mode="bilinear", align_corners=False)[0]
    if rng.random() < strength * 0.3:
        noise = torch.from_numpy(rng.normal(0, rng.uniform(2, 14), image[:1].shape if grey else image.shape)).float()
        varied = varied + noise
    return varied.clamp(0, 255) * (image.amax(dim=0) > 0)


def is_grey(image: Tensor) -> bool:
    """Return whether the three channels of an image (3, H, W) are the same."""
    return bool((image[0] == image[1]).all() and (image[0] == image[2]).all())


def may_be_tinted(image: Tensor, modality: str) -> bool:
    """Return whether an image (3, H, W) is of a kind that is kept in grey as well as in a colour of its stain."""
    return "fluorescence" in modality and is_grey(image)


def tint(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Show a grey image as fluorescence is often kept: in a colour, dark at times, or with another stain around it.

    Parameters
    ----------
    image
        float (3, H, W), grey, values 0-255.
    rng
        For the variation.
    """
    grey = image[:1]
    shown = grey * _colour(rng) * float(np.exp(rng.uniform(np.log(0.25), 0)))
    if rng.random() < 0.4:
        reach = 2 * int(rng.integers(3, 20)) + 1
        near = F.max_pool2d(grey[None], reach, stride=1, padding=reach // 2)
        other = F.avg_pool2d(near, reach, stride=1, padding=reach // 2)[0] * _smooth(rng, 0.4, grey.shape[1:]).exp()
        shown = shown + other * _colour(rng) * float(rng.uniform(0.1, 0.7))
    return shown.clamp(0, 255) * (grey > 0)


def paste(image: Tensor, masks: Tensor, other: Tensor, masked: Tensor, rng: np.random.Generator) -> Tensor:
    """Lay a piece of another image, without the objects that are marked there, beside the objects of an image.

    What surrounds objects differs more between images than a small set shows (ink, hairs, rulers on skin); as in
    CutMix (Yun et al., ICCV 2019), but of the surroundings only, so that the masks stay as they are.

    Parameters
    ----------
    image, other
        float (3, H, W), values 0-255, 0 where there is no image.
    masks, masked
        Their objects, (T, H, W), 0 to 1.
    rng
        For the piece: an ellipse with a soft rim.
    """
    height, width = image.shape[1:]
    rows = torch.linspace(0, 1, height)[:, None] - float(rng.uniform(0, 1))
    columns = torch.linspace(0, 1, width) - float(rng.uniform(0, 1))
    radii = rng.uniform(0.1, 0.45, 2)
    distance = ((rows / float(radii[0])) ** 2 + (columns / float(radii[1])) ** 2).sqrt()
    share = ((1 - distance) / PASTED_RIM).clamp(0, 1)
    objects = torch.cat([masks, masked]).amax(dim=0)
    reach = 2 * (max(height, width) // 32) + 1
    free = 1 - F.max_pool2d(objects[None, None], reach, stride=1, padding=reach // 2)[0, 0]
    share = share * free * (other.amax(dim=0) > 0) * (image.amax(dim=0) > 0)
    return image + share * (other - image)


def empty_field(size: int, rng: np.random.Generator) -> Tensor:
    """Return a picture of nothing: flat or unevenly lit, noisy, grey or coloured, on black bars at times.

    Parameters
    ----------
    size
        Its side.
    rng
        For all of it.

    Returns
    -------
    Tensor
        float (3, size, size), values 0-255.
    """
    channels = 1 if rng.random() < 0.6 else 3
    level = torch.from_numpy(rng.uniform(0, 255, (channels, 1, 1))).float()
    field = level + _smooth(rng, 1.0, torch.Size((size, size))) * float(rng.uniform(0, 30))
    noise = torch.from_numpy(rng.normal(0, 1, (1, channels, size, size))).float()
    reach = 2 * int(rng.integers(0, 4)) + 1
    noise = F.avg_pool2d(noise, reach, stride=1, padding=reach // 2)[0] * reach
    field = field + noise * float(np.exp(rng.uniform(0, np.log(60))))
    field = field.clamp(0, 255).expand(3, size, size).clone()
    if rng.random() < 0.3:
        bar = int(rng.integers(1, size // 3))
        field[:, :bar] = field[:, size - bar :] = 0
    return field.transpose(1, 2).contiguous() if rng.random() < 0.5 else field


def _colour(rng: np.random.Generator) -> Tensor:
    """Return a random colour (3, 1, 1) at full brightness, half of them of channels that are full or empty."""
    parts = rng.random(3)
    parts[rng.integers(3)] = 1
    if rng.random() < 0.5:
        parts = parts.round()
    return torch.from_numpy(parts).float()[:, None, None]


def _smooth(rng: np.random.Generator, spread: float, size: torch.Size) -> Tensor:
    """Return a smooth random field (H, W): uneven light."""
    coarse = torch.from_numpy(rng.normal(0, spread, (1, 1, 3, 3))).float()
    return F.interpolate(coarse, size=size, mode="bicubic", align_corners=True)[0, 0]
