"""From examples to training batches: augmented images, prompts in several phrasings, masks, absent objects."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from skimage.transform import resize
from torch import Tensor
from torch.nn import functional as F

from napari_biomedparse.engine.preprocess import to_rgb
from napari_biomedparse.model.config import ModelConfig
from napari_biomedparse.ontology import find_object, normalise, scale_of
from napari_biomedparse.training.dataset import Example


@dataclass(frozen=True)
class SamplingConfig:
    """How triples are drawn.

    Parameters
    ----------
    prompts
        Prompts asked of each image.
    absent
        Share of the prompts after the first that name an object of another modality.
    balance
        A set of n images is drawn with weight n to this power: 1 is proportional to size, 0 the same for all.
    cell_zoom
        Range of enlargements for cell-scale images, around the configuration's ``cell_zoom``.
    organ_zoom
        Range of enlargements for all others, around filling the input.
    """

    prompts: int = 3
    absent: float = 0.25
    balance: float = 0.5
    cell_zoom: tuple[float, float] = (0.5, 1.4)
    organ_zoom: tuple[float, float] = (0.85, 1.2)


@dataclass(frozen=True)
class Batch:
    """B images with P prompts each: images (B, 3, S, S) in 0-255, masks (B, P, S, S), B * P prompts."""

    images: Tensor
    masks: Tensor
    prompts: list[str]


class Triple:
    """An example kept in memory at the size it is drawn from."""

    def __init__(self, example: Example, size: int) -> None:
        self.example = example
        self.targets = list(example.masks)
        self.cells = any(scale_of(target) == "cell" for target in self.targets)
        self.mirrored = not any({"left", "right"} & set(target.split()) for target in self.targets)
        self._size = size

    @cached_property
    def pixels(self) -> tuple[Tensor, Tensor]:
        """RGB uint8 (3, h, w) and one mask per target, uint8 (T, h, w)."""
        rgb = to_rgb(self.example.read_image())
        masks = [self.example.read_mask(target) for target in self.targets]
        long_side = max(rgb.shape[:2])
        if not self.cells and long_side > 1.2 * self._size:
            shape = tuple(max(1, round(side * 1.2 * self._size / long_side)) for side in rgb.shape[:2])
            rgb = resize(rgb, (*shape, 3), anti_aliasing=True, preserve_range=True).round().astype(np.uint8)
            masks = [resize(mask.astype(float), shape, anti_aliasing=True) >= 0.5 for mask in masks]
        stacked = np.stack(masks).astype(np.uint8)
        return torch.from_numpy(rgb).permute(2, 0, 1).contiguous(), torch.from_numpy(stacked)


class TripleSampler:
    """Draw reproducible batches: the same seed and step give the same batch, so a run can be resumed.

    Parameters
    ----------
    examples
        Training examples of all sets.
    model
        Configuration of the network to train.
    size
        Side of the training input in pixels.
    config
        How triples are drawn.
    seed
        Seed of everything random.
    """

    def __init__(
        self, examples: list[Example], model: ModelConfig, size: int, config: SamplingConfig, seed: int
    ) -> None:
        self.triples = [Triple(example, size) for example in examples]
        self.model, self.size, self.config, self.seed = model, size, config, seed
        counts: dict[str, int] = defaultdict(int)
        self._modalities: dict[str, set[str]] = defaultdict(set)
        for example in examples:
            counts[example.dataset] += 1
            for target in example.masks:
                self._modalities[target].add(example.modality)
        weights = np.array([counts[example.dataset] ** (config.balance - 1) for example in examples])
        self._probability = weights / weights.sum()

    def batch(self, step: int, images: int) -> Batch:
        """Return the batch of a step."""
        rng = np.random.default_rng((self.seed, step))
        drawn = [self._draw(self.triples[i], rng) for i in rng.choice(len(self.triples), images, p=self._probability)]
        return Batch(
            torch.stack([image for image, _, _ in drawn]),
            torch.stack([masks for _, masks, _ in drawn]),
            [prompt for _, _, prompts in drawn for prompt in prompts],
        )

    def _draw(self, triple: Triple, rng: np.random.Generator) -> tuple[Tensor, Tensor, list[str]]:
        image, masks = self._augment(triple, rng)
        prompts, chosen = [], []
        order = rng.permutation(len(triple.targets))
        for slot in range(self.config.prompts):
            if slot and rng.random() < self.config.absent:
                prompts.append(self._phrase(self._absent(triple, rng), triple, rng))
                chosen.append(torch.zeros_like(masks[0]))
            else:
                index = order[slot % len(order)]
                prompts.append(self._phrase(triple.targets[index], triple, rng))
                chosen.append(masks[index])
        return image, torch.stack(chosen), prompts

    def _absent(self, triple: Triple, rng: np.random.Generator) -> str:
        others = [t for t, modalities in self._modalities.items() if triple.example.modality not in modalities]
        return str(rng.choice(others)) if others else "nothing"

    @staticmethod
    def _phrase(target: str, triple: Triple, rng: np.random.Generator) -> str:
        """Say a target in one of its names, alone, with its modality, or with site and modality (as published)."""
        found = find_object(target)
        # A target like "tumor" names different objects in different sites, so its own word is kept half the time.
        words = str(rng.choice(found.names)) if found and rng.random() < 0.5 else target
        modality = triple.example.modality
        phrasings = (words, f"{words} in {modality}", f"{words} in {triple.example.site} {modality}")
        return normalise(phrasings[rng.choice(3, p=(0.6, 0.15, 0.25))])

    def _augment(self, triple: Triple, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        image, masks = triple.pixels
        height, width = image.shape[1:]
        if triple.cells:
            zoom = self.model.cell_zoom * np.exp(rng.uniform(*np.log(self.config.cell_zoom)))
            angle = rng.integers(4) * np.pi / 2 + rng.normal(0, 0.05)
            slack = np.maximum(0, np.array([width, height]) - 0.8 * self.size / zoom) / 2
        else:
            zoom = self.size / max(height, width) * rng.uniform(*self.config.organ_zoom)
            angle = np.float64(rng.normal(0, 0.12))
            slack = np.array([width, height]) * 0.06
        centre = np.array([width, height]) / 2 + rng.uniform(-1, 1, 2) * slack
        flip = np.array([rng.choice((-1.0, 1.0)) if triple.mirrored else 1.0, 1.0])
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        # From the output square in [-1, 1] to the image in [-1, 1], as grid_sample wants it.
        to_pixels = rotation * flip * self.size / zoom / 2
        extent = np.array([width, height]) / 2
        affine = np.concatenate([to_pixels / extent[:, None], ((centre - extent) / extent)[:, None]], axis=1)
        grid = F.affine_grid(torch.from_numpy(affine).float()[None], [1, 1, self.size, self.size], align_corners=False)
        pixels = F.grid_sample(image[None].float(), grid, mode="bilinear", align_corners=False)[0]
        labels = F.grid_sample(masks[None].float(), grid, mode="bilinear", align_corners=False)[0]
        return self._recolour(pixels, rng), (labels >= 0.5).float()

    @staticmethod
    def _recolour(image: Tensor, rng: np.random.Generator) -> Tensor:
        """Vary gamma, contrast, brightness, colour balance and noise, keeping padding black."""
        gamma, gain = np.exp(rng.normal(0, 0.25)), np.exp(rng.normal(0, 0.15))
        balance = torch.from_numpy(np.exp(rng.normal(0, 0.06, 3))).float()[:, None, None]
        varied: Tensor = 255 * (image / 255).clamp(0, 1) ** gamma * gain * balance
        if rng.random() < 0.3:
            noise = torch.from_numpy(rng.normal(0, rng.uniform(2, 10), image.shape)).float()
            varied = varied + noise * (image > 0)
        return varied.clamp(0, 255)
