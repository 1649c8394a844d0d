"""A small checkpoint in the published format."""

import torch

from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.config import (
    ImageEncoderConfig,
    MaskDecoderConfig,
    ModelConfig,
    PixelDecoderConfig,
    TextEncoderConfig,
)
from napari_biomedparse.model.published import published_name

# The published architecture, small: four focal levels, no narrowed token table, nine decoder layers.
TINY = ModelConfig(
    name="biomedparse-v1",
    input_size=64,
    dim=32,
    image_encoder=ImageEncoderConfig(width=8, depths=(1, 2, 1, 1)),
    pixel_decoder=PixelDecoderConfig(layers=2, heads=4, feedforward=48, norm_groups=8),
    text_encoder=TextEncoderConfig(width=32, token_width=32, heads=4, layers=2),
    mask_decoder=MaskDecoderConfig(queries=7, layers=9, heads=4, feedforward=48),
)


def published_state():
    """Random weights under the published names."""
    generator = torch.Generator().manual_seed(3)
    tensors = {}
    for name, tensor in BiomedParse(TINY).state_dict().items():
        noise = torch.randn(tensor.shape, generator=generator)
        fan = tensor[0].numel() if tensor.ndim > 1 else 1
        tensors[published_name(name)] = noise / fan**0.5 if tensor.ndim > 1 else 1 + 0.1 * noise
    tensors["sem_seg_head.predictor.lang_encoder.logit_scale"] = torch.tensor(3.0)
    tensors["sem_seg_head.predictor.pn_indicator.weight"] = torch.zeros(2, 32)
    return tensors
