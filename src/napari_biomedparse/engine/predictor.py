"""Encode an image once, ask it any number of prompts."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_biomedparse.engine.preprocess import Fit, Frame, Intensity, lay, to_rgb
from napari_biomedparse.engine.results import ObjectMask
from napari_biomedparse.engine.tiling import Blend, Tile, plan_tiles
from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.checkpoint import resolve
from napari_biomedparse.model.mask_decoder import ImageFeatures
from napari_biomedparse.model.text_encoder import TextFeatures
from napari_biomedparse.ontology import Scale, normalise, scale_of

# Share of a tile's side that it has in common with its neighbour.
OVERLAP = 0.25
# Tile encodings of one image are kept for further prompts while they fit in this many bytes.
KEPT_BYTES = 1 << 30


class PromptError(ValueError):
    """Words that cannot be asked; the message says what to do."""


class Step(NamedTuple):
    """Progress of a run: tiles decoded so far, and in all."""

    done: int
    total: int


@dataclass
class View:
    """How the image is shown to the network for objects of one scale: tiles, and their features once computed."""

    tiles: list[Tile]
    zoom: float | None
    overlap: int
    features: dict[Tile, tuple[ImageFeatures, Frame]] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of the features kept."""
        return sum(features.nbytes for features, _ in self.features.values())


@dataclass
class EncodedImage:
    """An image ready for prompts, from :meth:`Predictor.encode`.

    Views are encoded when the first prompt of their scale needs them, and kept.

    Attributes
    ----------
    rgb
        What the network sees, uint8 (H, W, 3).
    fit
        How it is brought to the network's square.
    views
        Scale -> view.
    """

    rgb: NDArray[np.uint8]
    fit: Fit
    views: dict[Scale, View] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rgb.shape[0], self.rgb.shape[1]


class Predictor:
    """Segment images with words.

    Parameters
    ----------
    model
        The network, in evaluation mode.
    device
        Where to run it: ``"auto"`` (CUDA, then Apple's MPS, then CPU) or a torch device.
    """

    def __init__(self, model: BiomedParse, device: str = "auto") -> None:
        self.device = choose_device(device)
        self.model = model.to(self.device).eval()

    @classmethod
    def from_pretrained(cls, name: str | Path = "mini", device: str = "auto") -> Predictor:
        """Load a preset's or a file's weights.

        Parameters
        ----------
        name
            ``"mini"`` (in the package) or the path of a checkpoint.
        device
            As for the class.

        Raises
        ------
        CheckpointError
            If there are no such weights or they cannot be used.
        ValueError
            If the device is unknown or not there.
        """
        return cls(resolve(name), device)

    def encode(
        self,
        image: NDArray[np.generic],
        fit: Fit = "pad",
        intensity: Intensity = "auto",
        scales: Sequence[Scale] = ("organ",),
    ) -> EncodedImage:
        """Prepare an image and encode it for objects of the given scales.

        Parameters
        ----------
        image
            (H, W) or (H, W, 3) array of any real type.
        fit
            ``"pad"`` keeps the aspect ratio, ``"stretch"`` fills the network's square.
        intensity
            How values become 0-255: see :func:`~.preprocess.to_rgb`.
        scales
            ``"organ"``: the whole image at once. ``"cell"``: tiles near the image's own pixel size. Prompts of a
            scale that is not here are still answered: :meth:`segment` then encodes what is missing.

        Raises
        ------
        ImageError
            If the array is not an image.
        """
        if fit not in ("pad", "stretch"):
            raise ValueError(f"fit must be 'pad' or 'stretch', not {fit!r}.")
        encoded = EncodedImage(to_rgb(np.asarray(image), intensity), fit)
        for scale in scales:
            view = self._view(encoded, scale)
            for tile in view.tiles:
                self._features(encoded, view, tile)
        return encoded

    def segment(
        self,
        image: EncodedImage | NDArray[np.generic],
        prompts: Sequence[str],
        fit: Fit = "pad",
        intensity: Intensity = "auto",
    ) -> list[ObjectMask]:
        """Find what the prompts name, each on its own.

        Parameters
        ----------
        image
            An encoded image, or the array itself.
        prompts
            Words, one object each.
        fit, intensity
            As for :meth:`encode`; for arrays only.

        Returns
        -------
        list of ObjectMask
            One per prompt, in order.

        Raises
        ------
        PromptError
            If there is no prompt or an empty one.
        ImageError
            If the array is not an image.
        """
        steps = self.steps(image, prompts, fit, intensity)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                masks: list[ObjectMask] = end.value
                return masks

    def steps(
        self,
        image: EncodedImage | NDArray[np.generic],
        prompts: Sequence[str],
        fit: Fit = "pad",
        intensity: Intensity = "auto",
    ) -> Generator[Step, None, list[ObjectMask]]:
        """Do :meth:`segment` one tile at a time: yields progress, returns the masks, can be abandoned between."""
        check_prompts(prompts)
        if not isinstance(image, EncodedImage):
            image = self.encode(image, fit, intensity, scales=())
        return self._run(image, list(prompts))

    def _run(self, encoded: EncodedImage, prompts: list[str]) -> Generator[Step, None, list[ObjectMask]]:
        by_scale: dict[Scale, list[str]] = {}
        for prompt in dict.fromkeys(prompts):
            by_scale.setdefault(scale_of(prompt), []).append(prompt)
        views = {scale: self._view(encoded, scale) for scale in by_scale}
        total = sum(len(view.tiles) for view in views.values())
        done = 0
        yield Step(done, total)
        found: dict[str, ObjectMask] = {}
        for scale, asked in by_scale.items():
            view = views[scale]
            with torch.inference_mode():
                text = self.model.encode_text([normalise(prompt) for prompt in asked])
            blend = Blend(len(asked), encoded.shape, view.overlap)
            for tile in view.tiles:
                features, frame = self._features(encoded, view, tile)
                blend.add(tile, self._decode(features, frame, text))
                done += 1
                yield Step(done, total)
            probabilities = blend.result()
            found |= {prompt: ObjectMask(prompt, p) for prompt, p in zip(asked, probabilities, strict=True)}
        return [found[prompt] for prompt in prompts]

    def _view(self, encoded: EncodedImage, scale: Scale) -> View:
        """Return the view for a scale, planned on first use."""
        if scale not in encoded.views:
            config = self.model.config
            height, width = encoded.shape
            fill = config.input_size / max(height, width)
            zoom = max(config.cell_zoom, fill) if config.cell_fill else config.cell_zoom
            if scale == "organ" or (config.cell_fill and zoom <= fill):
                if scale != "organ":
                    return self._view(encoded, "organ")
                encoded.views[scale] = View([Tile(0, 0, height, width)], None, 0)
            else:
                side = int(config.input_size / zoom)
                overlap = int(side * OVERLAP)
                encoded.views[scale] = View(plan_tiles((height, width), side, overlap), zoom, overlap)
        return encoded.views[scale]

    @torch.inference_mode()
    def _features(self, encoded: EncodedImage, view: View, tile: Tile) -> tuple[ImageFeatures, Frame]:
        """Encode one tile, or return its features if they were kept."""
        if tile in view.features:
            return view.features[tile]
        region = encoded.rgb[tile.slices]
        square, frame = lay(region, self.model.config.input_size, encoded.fit, view.zoom)
        features = self.model.encode_image(torch.from_numpy(square)[None])
        if len(view.tiles) * features.nbytes <= KEPT_BYTES:
            view.features[tile] = (features, frame)
        return features, frame

    @torch.inference_mode()
    def _decode(self, features: ImageFeatures, frame: Frame, text: TextFeatures) -> NDArray[np.float32]:
        """Return the probabilities of all prompts on one region, (P, h, w)."""
        logits = self.model.decode(features, text).logits.float()
        return unlay(logits, frame, self.model.config.input_size).sigmoid().cpu().numpy()


def unlay(logits: Tensor, frame: Frame, size: int) -> Tensor:
    """Bring mask logits of the square input back to the region's pixels, in one bilinear step.

    Parameters
    ----------
    logits
        (P, h, w), covering the whole input.
    frame
        Where the region lies in the input.
    size
        Side of the input in pixels.

    Returns
    -------
    Tensor
        (P, region height, region width).
    """
    height, width = frame.region
    rows = (frame.top + (torch.arange(height, device=logits.device) + 0.5) * frame.height / height) / size
    columns = (frame.left + (torch.arange(width, device=logits.device) + 0.5) * frame.width / width) / size
    grid = torch.stack([columns.expand(height, width), rows[:, None].expand(height, width)], dim=-1)
    sampled = F.grid_sample(
        logits[None], 2 * grid[None] - 1, mode="bilinear", padding_mode="border", align_corners=False
    )
    return sampled[0]


def check_prompts(prompts: Sequence[str]) -> None:
    """Refuse what cannot be asked.

    Raises
    ------
    PromptError
        If there is no prompt, or one without words.
    """
    if isinstance(prompts, str):
        raise PromptError("Pass the prompts as a list of texts, for example ['nuclei'].")
    if not prompts or not all(normalise(prompt) for prompt in prompts):
        raise PromptError("A prompt is empty: name what to look for, for example 'nuclei'.")


def choose_device(name: str = "auto") -> torch.device:
    """Return the device to run on.

    Raises
    ------
    ValueError
        If the name is unknown or this machine has no such device.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, available in there.items() if available))
    kind = name.partition(":")[0]
    if not there.get(kind, False):
        usable = ", ".join(kind for kind, available in there.items() if available)
        raise ValueError(f"There is no device {name!r} on this machine; it has: {usable}.")
    return torch.device(name)
