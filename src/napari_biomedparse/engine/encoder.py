"""Encode tiles of images and words, and decode the one by the other; encoded tiles are kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from napari_biomedparse.engine.cache import Cache
from napari_biomedparse.engine.decode import decode, probabilities
from napari_biomedparse.engine.device import Precision, arithmetic
from napari_biomedparse.engine.preprocess import Frame, frame_of, lay
from napari_biomedparse.engine.views import Batch, EncodedImage, View
from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.mask_decoder import ImageFeatures
from napari_biomedparse.model.text_encoder import TextFeatures
from napari_biomedparse.ontology import normalise


class Encoder:
    """A network on its device, and what it has made of tiles so far.

    Parameters
    ----------
    model
        The network, on its device.
    device, precision
        As for :class:`~napari_biomedparse.Predictor`.
    cache
        Where encodings are kept.
    """

    def __init__(self, model: BiomedParse, device: torch.device, precision: Precision, cache: Cache) -> None:
        self.model, self.device, self.cache = model, device, cache
        self.precision: Precision = precision

    @torch.inference_mode()
    def tiles(self, image: EncodedImage, view: View, batch: Batch) -> tuple[ImageFeatures, Frame]:
        """Encode some tiles of an image, or return their features if they were kept."""
        size = self.model.config.input_size
        key = (image.content, view.zoom, batch)
        features = self.cache.get(key, ImageFeatures)
        if features is None:
            mirror = view.zoom is not None and not self.model.config.cell_fill
            squares = np.stack([lay(image.rgb[tile.slices], size, image.fit, view.zoom, mirror)[0] for tile in batch])
            with arithmetic(self.precision, self.device):
                features = self.model.encode_image(torch.from_numpy(squares))
            features = features.float() if self.device.type == "cpu" else features
            self.cache.put(key, features)
        return features, frame_of((batch[0].height, batch[0].width), size, image.fit, view.zoom)

    @torch.inference_mode()
    def words(self, prompts: Sequence[str]) -> TextFeatures:
        """Encode P prompts."""
        return self.model.encode_text([normalise(prompt) for prompt in prompts])

    @torch.inference_mode()
    def answers(
        self, image: EncodedImage, view: View, batch: Batch, text: TextFeatures, cored: Sequence[int] = ()
    ) -> NDArray[np.float32]:
        """Return the probabilities of P prompts on B tiles, float32 (B, P + cored, h, w).

        The inner parts of the prompts whose places are ``cored`` come last.
        """
        features, frame = self.tiles(image, view, batch)
        # A tile, other than a whole image, often does not show what the image shows.
        absence = self.model.config.absence if view.zoom is None else 0.0
        parts = decode(self.model, features, text, self.precision, self.device, bool(cored), absence)
        return probabilities(parts, frame, self.model.config.input_size, cored)
