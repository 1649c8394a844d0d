"""BiomedParse: the four parts composed, with three separate calls so that an image is encoded once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from napari_biomedparse.model.config import ModelConfig
from napari_biomedparse.model.detail import DetailPath
from napari_biomedparse.model.image_encoder import ImageEncoder
from napari_biomedparse.model.mask_decoder import ImageFeatures, MaskDecoder, normalise_embedding
from napari_biomedparse.model.pixel_decoder import PixelDecoder
from napari_biomedparse.model.text_encoder import TextEncoder, TextFeatures
from napari_biomedparse.model.tokenizer import class_phrasings, tokenize

# Mean and standard deviation of RGB on the 0-255 scale (ImageNet's, as the published model).
PIXEL_MEAN = (123.675, 116.280, 103.530)
PIXEL_STD = (58.395, 57.120, 57.375)


class DecodedPrompts(NamedTuple):
    """The answers to P prompts on each of B images.

    ``logits`` (B, P, H / 4, W / 4), or half of the input's side with a detail path, are the chosen queries' masks,
    ``similarity`` (B, P, Q) compares every query with its prompt, ``query`` (B, P) is the chosen one, ``text``
    (B, P, dim) is what it found in the space of the texts, ``cores`` like ``logits`` the inner parts of its separate
    objects, of a network that gives them.
    """

    logits: Tensor
    similarity: Tensor
    query: Tensor
    text: Tensor
    cores: Tensor | None = None


class BiomedParse(nn.Module):
    """Text-prompted segmentation network.

    Parameters
    ----------
    config
        Sizes of all parts.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.image_encoder = ImageEncoder(config.image_encoder)
        self.pixel_decoder = PixelDecoder(config.image_encoder.channels, config.dim, config.pixel_decoder)
        self.text_encoder = TextEncoder(config.text_encoder, config.dim)
        self.mask_decoder = MaskDecoder(config.dim, config.mask_decoder, config.cores)
        self.detail_path = DetailPath(config.dim, config.detail) if config.detail else None
        self.reset_pixel_statistics()

    def reset_pixel_statistics(self) -> None:
        """Set mean and standard deviation of the pixels, which are constants and not part of the weights."""
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(PIXEL_STD).view(3, 1, 1), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.pixel_mean.device

    def encode_image(self, rgb: Tensor) -> ImageFeatures:
        """Encode images once for any number of prompts.

        Parameters
        ----------
        rgb
            (B, 3, H, W), values 0-255, sides multiples of 32.
        """
        image = (rgb.to(self.device) - self.pixel_mean) / self.pixel_std
        levels, finest = self.pixel_decoder(self.image_encoder(image))
        features = self.mask_decoder.prepare(levels, finest, self.pixel_decoder.mask_features.resized(finest))
        return features._replace(detail=self.detail_path(image, finest)) if self.detail_path else features

    def encode_text(self, prompts: list[str]) -> TextFeatures:
        """Encode prompts, one row each."""
        ids = tokenize(prompts, self.config.text_encoder.context)
        encoded: TextFeatures = self.text_encoder(ids.to(self.device))
        return encoded

    def decode(
        self, image: ImageFeatures, text: TextFeatures, cores: bool = False, absence: float = 0.0
    ) -> DecodedPrompts:
        """Decode prompts on encoded images, each on its own.

        Parameters
        ----------
        image, text
            B images and P prompts.
        cores
            Whether the inner parts of separate objects are wanted too.
        absence
            How probable an empty mask must be to be the answer; below, the second most similar query answers.
        """
        heads = self.mask_decoder(image, text.repeat(len(image.finest)))[-1]
        texts = self.mask_decoder.texts(heads.states)
        similarity = self.mask_decoder.similarity(texts, text.embedding)
        query = similarity.argmax(dim=-1)
        logits = self._logits(_chosen(heads.masks, query), image)
        if absence:
            second = similarity.topk(2, dim=-1).indices[..., 1]
            unsure = similarity.softmax(dim=-1).amax(dim=-1) < absence
            doubted = unsure & (logits.amax(dim=(-2, -1)) <= 0)
            if doubted.any():
                query = torch.where(doubted, second, query)
                logits = self._logits(_chosen(heads.masks, query), image)
        head = self.mask_decoder.core_head if cores else None
        core = None if head is None else self._logits(head(_chosen(heads.states, query)), image)
        return DecodedPrompts(logits, similarity, query, _chosen(texts, query), core)

    def _logits(self, masks: Tensor, image: ImageFeatures) -> Tensor:
        """Return the mask logits of mask embeddings (B, P, dim)."""
        logits = self.pixel_decoder.mask_features.logits(masks, image.finest)
        if self.detail_path is None or image.detail is None:
            return logits
        return self.detail_path.refine(logits, masks, image.detail)

    def encode_classes(self, names: list[str]) -> Tensor:
        """Encode class names for :meth:`classify`, (N, dim).

        Each is the mean of its name in CLIP's 81 phrasings, normalised before and after, as published.
        """
        phrasings = class_phrasings()
        encoded = []
        for name in names:
            embedding = self.encode_text([phrasing.format(name) for phrasing in phrasings]).embedding.float()
            mean = normalise_embedding(embedding).mean(dim=0)
            encoded.append(mean / mean.norm())
        return torch.stack(encoded)

    def classify(self, text: Tensor, classes: Tensor) -> Tensor:
        """Return the probability of each class for queries' text embeddings, (..., dim) to (..., N)."""
        scale = self.mask_decoder.logit_scale.float().exp()
        return (scale * normalise_embedding(text.float()) @ classes.T).softmax(dim=-1)


def _chosen(parts: Tensor, query: Tensor) -> Tensor:
    """Return of each prompt's queries, (B, P, Q, dim), the one that was chosen, (B, P, dim)."""
    return parts.take_along_dim(query[..., None, None], dim=2)[:, :, 0]
