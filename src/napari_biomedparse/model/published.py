"""The published checkpoint's names, and the way from them to this project's."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

# Rows of regular expressions applied in order to this project's names; the result is the published name.
_NAMES: tuple[tuple[str, str], ...] = (
    (r"^image_encoder\.embeds\.0\.", "backbone.patch_embed."),
    *((rf"^image_encoder\.embeds\.{stage + 1}\.", f"backbone.layers.{stage}.downsample.") for stage in range(3)),
    (r"^(backbone\..*)\.project\.", r"\1.proj."),
    (r"^image_encoder\.stages\.(\d+)\.(\d+)\.", r"backbone.layers.\1.blocks.\2."),
    (r"^image_encoder\.norms\.(\d+)\.", r"backbone.norm\1."),
    (r"\.scale([12])$", r".gamma_\1"),
    (r"\.modulation\.project_in\.", ".modulation.f."),
    (r"\.modulation\.modulator\.", ".modulation.h."),
    (r"\.modulation\.project_out\.", ".modulation.proj."),
    (r"\.modulation\.contexts\.(\d+)\.", r".modulation.focal_layers.\1.0."),
    (r"^(backbone\..*)\.mlp\.0\.", r"\1.mlp.fc1."),
    (r"^(backbone\..*)\.mlp\.2\.", r"\1.mlp.fc2."),
    (r"^pixel_decoder\.project_in\.", "pixel_decoder.input_proj."),
    *((rf"^pixel_decoder\.laterals\.{n}\.", f"pixel_decoder.adapter_{3 - n}.") for n in range(3)),
    *((rf"^pixel_decoder\.outputs\.{n}\.", f"pixel_decoder.layer_{4 - n}.") for n in range(4)),
    (r"\.convolution\.", "."),
    (r"^pixel_decoder\.layers\.", "pixel_decoder.transformer.encoder.layers."),
    (r"^(pixel_decoder\..*)\.attention\.", r"\1.self_attn."),
    (r"^pixel_decoder\.", "sem_seg_head.pixel_decoder."),
    (r"^text_encoder\.project$", "lang_encoder.lang_proj"),
    (r"^text_encoder\.positions$", "lang_encoder.lang_encoder.positional_embedding"),
    (r"^text_encoder\.norm\.", "lang_encoder.lang_encoder.ln_final."),
    (r"^text_encoder\.blocks\.", "lang_encoder.lang_encoder.resblocks."),
    (r"^text_encoder\.", "lang_encoder.lang_encoder."),
    (r"^(lang_encoder\..*)\.attention\.", r"\1.attn."),
    (r"^(lang_encoder\..*)\.norm([12])\.", r"\1.ln_\2."),
    (r"^(lang_encoder\..*)\.mlp\.0\.", r"\1.mlp.c_fc."),
    (r"^(lang_encoder\..*)\.mlp\.2\.", r"\1.mlp.c_proj."),
    (r"^mask_decoder\.queries$", "query_feat.weight"),
    (r"^mask_decoder\.query_positions$", "query_embed.weight"),
    (r"^mask_decoder\.level_embedding$", "level_embed.weight"),
    (r"^mask_decoder\.text_head$", "class_embed"),
    (r"^mask_decoder\.logit_scale$", "lang_encoder.logit_scale"),
    (r"^mask_decoder\.norm\.", "decoder_norm."),
    *((rf"^mask_decoder\.mask_head\.{2 * n}\.", f"mask_embed.layers.{n}.") for n in range(3)),
    (r"^mask_decoder\.layers\.(\d+)\.cross_attention\.", r"transformer_cross_attention_layers.\1.multihead_attn."),
    (r"^mask_decoder\.layers\.(\d+)\.cross_norm\.", r"transformer_cross_attention_layers.\1.norm."),
    (r"^mask_decoder\.layers\.(\d+)\.self_attention\.", r"transformer_self_attention_layers.\1.self_attn."),
    (r"^mask_decoder\.layers\.(\d+)\.self_norm\.", r"transformer_self_attention_layers.\1.norm."),
    (r"^mask_decoder\.layers\.(\d+)\.feedforward_norm\.", r"transformer_ffn_layers.\1.norm."),
    (r"^mask_decoder\.layers\.(\d+)\.feedforward\.", r"transformer_ffn_layers.\1.feedforward."),
    (r"\.feedforward\.0\.", ".linear1."),
    (r"\.feedforward\.2\.", ".linear2."),
    (r"(attn)\.project_in$", r"\1.in_proj_weight"),
    (r"(attn)\.bias_in$", r"\1.in_proj_bias"),
    (r"(attn)\.project_out\.", r"\1.out_proj."),
    (r"^(?!backbone\.|sem_seg_head\.)", "sem_seg_head.predictor."),
)

# Parts of the published checkpoint that no text prompt uses: clicks, strokes, a visual memory, a second text encoder.
UNUSED = (
    "dilation_kernel",
    "sem_seg_head.predictor.pn_indicator.",
    "sem_seg_head.predictor.spatial_embed.",
    "sem_seg_head.predictor.spatial_featured.",
    "sem_seg_head.predictor.mask_sptial_embed.",
    "sem_seg_head.predictor.lang_encoder.biomed_encoder.",
)

# A tensor that every published checkpoint has and no other file.
MARK = "sem_seg_head.predictor.query_feat.weight"


def published_name(name: str) -> str:
    """Return what the published checkpoint calls one of this project's tensors."""
    for pattern, replacement in _NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def from_published(tensors: Mapping[str, Tensor], wanted: list[str]) -> tuple[dict[str, Tensor], list[str]]:
    """Give a published checkpoint's tensors this project's names, without copying any.

    Parameters
    ----------
    tensors
        The published state dict.
    wanted
        This project's names.

    Returns
    -------
    tuple
        The tensors that are there, and the published names that were left over.
    """
    names = {name: published_name(name) for name in wanted}
    found = {name: tensors[published] for name, published in names.items() if published in tensors}
    return found, sorted(tensors.keys() - set(names.values()))


def is_unused(name: str) -> bool:
    """Return whether a left-over tensor belongs to a part that text prompts do not use."""
    return name.startswith(UNUSED)
