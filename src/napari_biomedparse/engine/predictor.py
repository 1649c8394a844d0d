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

from napari_biomedparse.engine.preprocess import Fit, Frame, Intensity, lay, to_rgb
from napari_biomedparse.engine.results import ObjectMask
from napari_biomedparse.engine.tiling import Blend, Tile, plan_tiles
from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.checkpoint import load_model
from napari_biomedparse.model.mask_decoder import ImageFeatures
from napari_biomedparse.model.text_encoder import TextFeatures
from napari_biomedparse.ontology import Scale, normalise, scale_of
from napari_biomedparse.weights import locate

# Share of a tile's side that it has in common with its neighbour.
OVERLAP = 0.25
# Tiles go through the network together up to this many input pixels: fewer, larger steps for a small network.
BATCH_PIXELS = 1 << 19
# Tile encodings of one image are kept for further prompts while they fit in this many bytes.
KEPT_BYTES = 1 << 30


class PromptError(ValueError):
    """Words that cannot be asked; the message says what to do."""


class Step(NamedTuple):
    """Progress of a run: tiles decoded so far, and in all."""

    done: int
    total: int


# Tiles of one size that go through the network together.
Batch = tuple[Tile, ...]


@dataclass
class View:
    """How the image is shown to the network for objects of one scale: tiles, and their features once computed."""

    batches: list[Batch]
    zoom: float | None
    overlap: int
    features: dict[Batch, tuple[ImageFeatures, Frame]] = field(default_factory=dict)

    @property
    def tiles(self) -> list[Tile]:
        """All tiles."""
        return [tile for batch in self.batches for tile in batch]


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
        return cls(load_model(locate(name)), device)

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
            for batch in view.batches:
                self._features(encoded, view, batch)
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
            for batch in view.batches:
                features, frame = self._features(encoded, view, batch)
                for tile, probabilities in zip(batch, self._decode(features, frame, text), strict=True):
                    blend.add(tile, probabilities)
                done += len(batch)
                yield Step(done, total)
            found |= {prompt: ObjectMask(prompt, p) for prompt, p in zip(asked, blend.result(), strict=True)}
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
                encoded.views[scale] = View([(Tile(0, 0, height, width),)], None, 0)
            else:
                side = int(config.input_size / zoom)
                overlap = int(side * OVERLAP)
                tiles = plan_tiles((height, width), side, overlap)
                together = max(1, BATCH_PIXELS // config.input_size**2)
                batches = [tuple(tiles[n : n + together]) for n in range(0, len(tiles), together)]
                encoded.views[scale] = View(batches, zoom, overlap)
        return encoded.views[scale]

    @torch.inference_mode()
    def _features(self, encoded: EncodedImage, view: View, batch: Batch) -> tuple[ImageFeatures, Frame]:
        """Encode some tiles, or return their features if they were kept."""
        if batch in view.features:
            return view.features[batch]
        size = self.model.config.input_size
        laid = [lay(encoded.rgb[tile.slices], size, encoded.fit, view.zoom) for tile in batch]
        features = self.model.encode_image(torch.from_numpy(np.stack([square for square, _ in laid])))
        frame = laid[0][1]
        if len(view.batches) * features.nbytes <= KEPT_BYTES:
            view.features[batch] = (features, frame)
        return features, frame

    @torch.inference_mode()
    def _decode(self, features: ImageFeatures, frame: Frame, text: TextFeatures) -> NDArray[np.float32]:
        """Return the probabilities of P prompts on B tiles, (B, P, h, w)."""
        logits = self.model.decode(features, text).logits.float()
        return unlay(logits, frame, self.model.config.input_size).sigmoid_().cpu().numpy()


def unlay(logits: Tensor, frame: Frame, size: int) -> Tensor:
    """Bring mask logits of the square input back to the region's pixels, in one bilinear step.

    Bilinear sampling is the same along rows and columns, so it is done with one matrix for each.

    Parameters
    ----------
    logits
        (B, P, h, w), covering the whole input.
    frame
        Where the region lies in the input.
    size
        Side of the input in pixels.

    Returns
    -------
    Tensor
        (B, P, region height, region width).
    """
    rows = _sampling(logits.shape[-2], frame.region[0], frame.top, frame.height, size)
    columns = _sampling(logits.shape[-1], frame.region[1], frame.left, frame.width, size)
    return rows.to(logits) @ logits @ columns.to(logits).T


def _sampling(known: int, wanted: int, start: int, length: int, size: int) -> Tensor:
    """Return the weights (wanted, known) that read ``wanted`` pixels from a map's ``known`` along one axis."""
    place = (start + (torch.arange(wanted) + 0.5) * length / wanted) / size * known - 0.5
    place = place.clamp(0, known - 1)
    below = place.floor().long().clamp(max=max(known - 2, 0))
    above = (below + 1).clamp(max=known - 1)
    share = place - below
    weights = torch.zeros(wanted, known)
    index = torch.arange(wanted)
    weights[index, above] = share
    weights[index, below] += 1 - share
    return weights


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
