"""From examples to training batches: augmented images, prompts in several phrasings, masks, absent objects."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.transform import resize
from torch import Tensor

from napari_biomedparse.engine.instances import split_instances
from napari_biomedparse.engine.object_size import diameters, typical_diameter, zoom_for
from napari_biomedparse.engine.preprocess import to_rgb
from napari_biomedparse.engine.views import zoom_of
from napari_biomedparse.errors import SettingError
from napari_biomedparse.model.config import ModelConfig
from napari_biomedparse.ontology import Scale, find_object, scale_of
from napari_biomedparse.training.augment import Placement, empty_field, may_be_tinted, move, paste, recolour, tint
from napari_biomedparse.training.cores import cores
from napari_biomedparse.training.dataset import Example, of_size
from napari_biomedparse.training.kinds import family
from napari_biomedparse.training.phrasing import Phrasing, is_microscopy

SCALES: tuple[Scale, ...] = ("organ", "tissue", "cell")
# Modalities whose pictures have no up and down.
FREE = frozenset({"endoscope", "dermoscopy"})
# Where organs lie on one side, in scans that are stored with the patient's right on the left.
TRUNK = frozenset({"abdomen", "chest", "heart", "liver", "lung", "pancreas", "spleen", "stomach"})
SCANS = ("CT", "MRI", "PET", "X-Ray")
# How many times more cells are enlarged that are shown close up, least and most.
CLOSE_UP = (1.5, 6.0)


@dataclass(frozen=True)
class SamplingConfig:
    """How triples are drawn.

    Parameters
    ----------
    prompts
        Prompts asked of each image.
    absent
        Share of the prompts after the first that name something that is not there.
    foreign
        Share of images shown at a scale that none of their targets has, and asked for what is not there only: so
        learns the network that there are no nuclei on an X-ray, also when shown it close up.
    empty
        Share of images in whose place a picture of nothing is shown (:func:`~.augment.empty_field`), which is asked for
        what the image has and for what it has not: there are empty sections, slides and fields of view.
    balance
        A set of n images is drawn with weight n to this power: 1 is proportional to size, 0 the same for all.
    modality_balance
        The same once more for modalities: 1 leaves them the weight of their sets, 0 draws all of them equally often.
    weights
        Factors by which single sets are drawn more often or more seldom than that, by name.
    tile_zoom
        Range of enlargements for tissue and cells, around the configuration's.
    sized
        Share of the parts with objects that the configuration wants in one size (``ModelConfig.sized``) which are shown
        so; the others as if their size were not known, as images are at first.
    close_up
        Share of the parts, shown for cells, which are enlarged several times more, so that the network knows the inside
        of a cell when it is as large as the input, as in an image whose size of cells is not known yet.
    organ_zoom
        Range of enlargements for organs, around filling the input.
    centred
        Share of the parts of an image, shown for tissue and cells, that lie around a point of the object.
    bend
        Standard deviation of the bending, as a share of the input's half side.
    recolour
        Range of the strength of :func:`~.augment.recolour`, drawn anew for each image. Variation makes a network
        robust; where annotators of one set draw outlines tighter than those of another, it also hides the difference.
    recolour_organs
        The same for images shown as a whole, for organs, of which there are sets of few images that want more of it; by
        default no other.
    pasted
        Share of the images shown as a whole that get a piece of another one of their set, see :func:`~.augment.paste`.
    tint
        Share of grey fluorescence images that are shown in colours, see :func:`~.augment.tint`.
    """

    prompts: int = 4
    absent: float = 0.3
    foreign: float = 0.15
    empty: float = 0.0
    balance: float = 0.4
    modality_balance: float = 1.0
    weights: dict[str, float] = field(default_factory=dict)
    tile_zoom: tuple[float, float] = (0.5, 1.4)
    sized: float = 0.7
    close_up: float = 0.0
    organ_zoom: tuple[float, float] = (0.8, 1.3)
    centred: float = 0.5
    bend: float = 0.03
    recolour: tuple[float, float] = (1.0, 1.0)
    recolour_organs: tuple[float, float] | None = None
    pasted: float = 0.0
    tint: float = 0.0


@dataclass(frozen=True)
class Batch:
    """B images with P prompts each: images (B, 3, S, S) in 0-255, masks (B, P, S, S), B * P prompts.

    ``cores`` (B, P, S, S) are the inner parts of the separate objects, -1 where they are not known.
    """

    images: Tensor
    masks: Tensor
    prompts: list[str]
    cores: Tensor


class Triple:
    """An example kept in memory at the size it is drawn from."""

    def __init__(self, example: Example, size: int) -> None:
        self.example = example
        self.targets = list(example.masks)
        self.scales = [scale_of(target) for target in self.targets]
        self.mirrored = not (_has_sides(example) or any(map(_is_sided, self.targets)))
        self._size = size
        self._diameters: dict[str, float | None] = {}

    @cached_property
    def pixels(self) -> tuple[Tensor, Tensor]:
        """RGB uint8 (3, h, w), and a mask per target and then the cores of each numbered one, uint8 (T, h, w).

        Raises
        ------
        DataError
            If a mask has another size than the image.
        """
        example = self.example
        rgb = to_rgb(example.read_image())
        shape = (rgb.shape[0], rgb.shape[1])
        masks = [of_size(example.read_mask(target), shape, path) for target, path in example.masks.items()]
        masks += [
            cores(of_size(example.read_instances(target), shape, path)) for target, path in example.instances.items()
        ]
        long_side = max(shape)
        if set(self.scales) == {"organ"} and long_side > 1.2 * self._size:
            small = tuple(max(1, round(side * 1.2 * self._size / long_side)) for side in shape)
            rgb = resize(rgb, (*small, 3), anti_aliasing=True, preserve_range=True).round().astype(np.uint8)
            masks = [resize(mask.astype(float), small, anti_aliasing=True) >= 0.5 for mask in masks]
        stacked = np.stack(masks).astype(np.uint8)
        return torch.from_numpy(rgb).permute(2, 0, 1).contiguous(), torch.from_numpy(stacked)

    def diameter(self, objects: Collection[str]) -> float | None:
        """Return the diameter in pixels of the first target that is one of some objects; None if there is none."""
        target = next((target for target in self.targets if _identifier(target) in objects), None)
        if target is None:
            return None
        if target not in self._diameters:
            example = self.example
            numbered = target in example.instances
            numbers = example.read_instances(target) if numbered else split_instances(example.read_mask(target))
            self._diameters[target] = typical_diameter(diameters(numbers))
        return self._diameters[target]


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

    Raises
    ------
    SettingError
        If a weight is given to a set that is not among the examples.
    """

    def __init__(
        self, examples: list[Example], model: ModelConfig, size: int, config: SamplingConfig, seed: int
    ) -> None:
        known = {example.dataset for example in examples}
        if unknown := sorted(config.weights.keys() - known):
            raise SettingError(f"sampling.weights names {unknown[0]}, but the sets are {', '.join(sorted(known))}.")
        self.triples = [Triple(example, size) for example in examples]
        self.model, self.size, self.config, self.seed = model, size, config, seed
        self.phrasing = Phrasing(examples)
        self._probability = _probability(examples, config)
        self._sets: dict[str, list[Triple]] = defaultdict(list)
        for triple in self.triples:
            self._sets[triple.example.dataset].append(triple)

    def batch(self, step: int, images: int, part: int = 0) -> Batch:
        """Return the batch of a step, or one part of it; each part is drawn on its own."""
        rng = np.random.default_rng((self.seed, step, part))
        drawn = [self._draw(self.triples[i], rng) for i in rng.choice(len(self.triples), images, p=self._probability)]
        return Batch(
            torch.stack([image for image, _, _, _ in drawn]),
            torch.stack([masks for _, masks, _, _ in drawn]),
            [prompt for _, _, prompts, _ in drawn for prompt in prompts],
            torch.stack([inner for _, _, _, inner in drawn]),
        )

    def _draw(self, triple: Triple, rng: np.random.Generator) -> tuple[Tensor, Tensor, list[str], Tensor]:
        if self.config.empty > 0 and rng.random() < self.config.empty:
            return self._draw_empty(triple, rng)
        foreign = [scale for scale in SCALES if scale not in triple.scales]
        if rng.random() < self.config.foreign and foreign:
            scale, targets = foreign[rng.integers(len(foreign))], np.array([], int)
        else:
            scale = triple.scales[rng.integers(len(triple.scales))]
            targets = rng.permutation([n for n, known in enumerate(triple.scales) if known == scale])
        image, masks = self._show(triple, scale, targets, rng)
        numbered = list(triple.example.instances)
        prompts, chosen = [], []
        inner = torch.full((self.config.prompts, self.size, self.size), -1.0)
        for slot in range(self.config.prompts):
            again = slot >= len(targets) and rng.random() < 0.5
            if not len(targets) or (slot and (again or rng.random() < self.config.absent)):
                prompts.append(self.phrasing.absent(triple.example, scale, rng))
                chosen.append(torch.zeros(self.size, self.size))
            else:
                index = targets[slot % len(targets)]
                prompts.append(self.phrasing.present(triple.targets[index], triple.example, rng))
                chosen.append(masks[index])
                if triple.targets[index] in numbered:
                    inner[slot] = masks[len(triple.targets) + numbered.index(triple.targets[index])]
        return image, torch.stack(chosen), prompts, inner

    def _draw_empty(self, triple: Triple, rng: np.random.Generator) -> tuple[Tensor, Tensor, list[str], Tensor]:
        """Return a picture of nothing and prompts for what an image has, and has not."""
        prompts = []
        for _ in range(self.config.prompts):
            index = rng.integers(len(triple.targets))
            if rng.random() < self.config.absent:
                prompts.append(self.phrasing.absent(triple.example, triple.scales[index], rng))
            else:
                prompts.append(self.phrasing.present(triple.targets[index], triple.example, rng))
        nothing = torch.zeros(self.config.prompts, self.size, self.size)
        return empty_field(self.size, rng), nothing, prompts, nothing - 1

    def _show(
        self, triple: Triple, scale: Scale, targets: NDArray[np.integer], rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Show an image to the network as for objects of a scale, moved, bent and recoloured."""
        config = self.config
        image, masks = self._lay(triple, scale, targets, rng)
        whole = zoom_of(scale, self.model) is None
        if whole and config.pasted > 0 and rng.random() < config.pasted:
            others = self._sets[triple.example.dataset]
            other, masked = self._lay(others[rng.integers(len(others))], scale, targets[:0], rng)
            image = paste(image, masks, other, masked, rng)
        if config.tint > 0 and may_be_tinted(image, triple.example.modality) and rng.random() < config.tint:
            image = tint(image, rng)
        own = config.recolour_organs if whole else None
        strength = float(rng.uniform(*(own or config.recolour)))
        return recolour(image, rng, strength), (masks >= 0.5).float()

    def _lay(
        self, triple: Triple, scale: Scale, targets: NDArray[np.integer], rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Lay an image and its masks before the network, at a zoom for the scale, moved and bent."""
        image, masks = triple.pixels
        sides = np.array(image.shape[:0:-1])
        whole = zoom_of(scale, self.model)
        if whole is None:
            zoom = self.size / sides.max() * rng.uniform(*self.config.organ_zoom)
            slack = sides * 0.08
        else:
            known = triple.diameter(self.model.sized) if scale == "cell" else None
            if known is not None and rng.random() < self.config.sized:
                whole = zoom_for(known, self.model)
            zoom = whole * np.exp(rng.uniform(*np.log(self.config.tile_zoom)))
            if scale == "cell" and self.config.close_up > 0 and rng.random() < self.config.close_up:
                zoom *= np.exp(rng.uniform(*np.log(CLOSE_UP)))
            slack = np.maximum(0, sides - 0.8 * self.size / zoom) / 2
        modality = triple.example.modality
        free = triple.mirrored and (whole is not None or modality in FREE or is_microscopy(modality))
        x, y = sides / 2 + rng.uniform(-1, 1, 2) * slack
        if whole is not None and len(targets) and rng.random() < self.config.centred:
            # Small objects would hardly ever be in the part that is shown.
            inside = masks[targets[0]].nonzero()
            if len(inside):
                point = inside[rng.integers(len(inside))].numpy()[::-1] + rng.normal(0, 0.2 * self.size / zoom, 2)
                x, y = np.clip(point, sides / 2 - slack, sides / 2 + slack)
        place = Placement(
            zoom=float(zoom),
            angle=float(rng.uniform(-np.pi, np.pi) if free else rng.normal(0, 0.12)),
            centre=(float(x), float(y)),
            flips=(int(rng.choice((-1, 1))) if triple.mirrored else 1, int(rng.choice((-1, 1))) if free else 1),
            bend=self.config.bend if rng.random() < 0.5 else 0.0,
        )
        layers = move(torch.cat([image, masks]).float(), self.size, place, rng)
        return layers[:3], layers[3:]


def _identifier(target: str) -> str:
    found = find_object(target)
    return found.id if found else ""


def _probability(examples: list[Example], config: SamplingConfig) -> NDArray[np.float64]:
    """Return how often each example is drawn, balanced between sets and between modalities."""
    sets = Counter(example.dataset for example in examples)
    weights = np.array([sets[example.dataset] ** (config.balance - 1) for example in examples])
    modalities = [family(example.modality) for example in examples]
    totals: dict[str, float] = defaultdict(float)
    for modality, weight in zip(modalities, weights, strict=True):
        totals[modality] += weight
    weights = weights * np.array([totals[modality] ** (config.modality_balance - 1) for modality in modalities])
    weights = weights * np.array([config.weights.get(example.dataset, 1.0) for example in examples])
    probability: NDArray[np.float64] = weights / weights.sum()
    return probability


def _has_sides(example: Example) -> bool:
    """Return whether a mirror image would show organs on the wrong side, whatever is looked for."""
    return example.site in TRUNK and example.modality.startswith(SCANS)


def _is_sided(target: str) -> bool:
    return bool({"left", "right"} & set(re.split(r"[\s_-]+", target.lower())))
