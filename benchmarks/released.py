"""The released procedure, plainly: the measure for correctness in tests and for speed in benchmarks.

Written from the published description on the published names, one tensor operation after the other, and independent
of the package: every prompt encodes the image anew, every layer resizes all masks, attention computes its weights, and
masks are merged pixel by pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

MEAN, STD = (123.675, 116.280, 103.530), (58.395, 57.120, 57.375)
DECODER = "sem_seg_head.pixel_decoder"
PREDICTOR = "sem_seg_head.predictor"
TEXT = f"{PREDICTOR}.lang_encoder.lang_encoder"


@dataclass(frozen=True)
class Released:
    """A published state dict and the sizes that its shapes do not tell."""

    state: dict[str, Tensor]
    depths: tuple[int, ...] = (2, 2, 18, 2)
    levels: int = 4
    heads: int = 8
    text_heads: int = 8
    groups: int = 32

    def count(self, prefix: str) -> int:
        """Return how many numbered entries follow a prefix."""
        return len({key[len(prefix) :].split(".")[0] for key in self.state if key.startswith(prefix)})

    def linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def norm(self, x: Tensor, name: str, epsilon: float = 1e-5) -> Tensor:
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        return F.layer_norm(x, weight.shape, weight, bias, epsilon)

    def convolve(self, x: Tensor, name: str, **options: int) -> Tensor:
        return F.conv2d(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"), **options)

    def attend(
        self, name: str, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None = None, heads: int = 0
    ) -> Tensor:
        """Multi-head attention of (N, C) tensors; ``hidden`` is True (or -inf) where a key may not be seen."""
        out, _ = F.multi_head_attention_forward(
            *(query[:, None], key[:, None], value[:, None], query.shape[-1], heads or self.heads),
            *(self.state[f"{name}.in_proj_weight"], self.state[f"{name}.in_proj_bias"], None, None, False, 0.0),
            *(self.state[f"{name}.out_proj.weight"], self.state[f"{name}.out_proj.bias"], False, None, True),
            attn_mask=hidden,
        )
        return out[:, 0]


def encode_image(model: Released, rgb: Tensor) -> list[Tensor]:
    """Return res2 to res5 of an image, (3, H, W) in 0-255."""
    x = (rgb - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    x = model.convolve(x[None], "backbone.patch_embed.proj", stride=4, padding=2)
    x = model.norm(x.permute(0, 2, 3, 1), "backbone.patch_embed.norm")
    outputs = []
    for stage, depth in enumerate(model.depths):
        for block in range(depth):
            name = f"backbone.layers.{stage}.blocks.{block}"
            mixed = model.norm(_modulate(model, x, f"{name}.modulation"), f"{name}.norm1")
            x = x + model.state[f"{name}.gamma_1"] * mixed
            hidden = F.gelu(model.linear(x, f"{name}.mlp.fc1"))
            x = x + model.state[f"{name}.gamma_2"] * model.norm(
                model.linear(hidden, f"{name}.mlp.fc2"), f"{name}.norm2"
            )
        outputs.append(model.norm(x, f"backbone.norm{stage}").permute(0, 3, 1, 2))
        if stage + 1 < len(model.depths):
            name = f"backbone.layers.{stage}.downsample"
            x = model.convolve(x.permute(0, 3, 1, 2), f"{name}.proj", stride=2, padding=1)
            x = model.norm(x.permute(0, 2, 3, 1), f"{name}.norm")
    return outputs


def _modulate(model: Released, x: Tensor, name: str) -> Tensor:
    channels = x.shape[-1]
    mapped = model.linear(x, f"{name}.f").permute(0, 3, 1, 2)
    query, context, gates = mapped.split([channels, channels, model.levels + 1], dim=1)
    total = torch.zeros_like(context)
    for level in range(model.levels):
        layer = f"{name}.focal_layers.{level}.0"
        context = F.gelu(model.convolve(context, layer, padding=1 + level, groups=channels))
        total = total + context * gates[:, level : level + 1]
    total = total + F.gelu(context.mean((2, 3), keepdim=True)) * gates[:, model.levels :]
    modulated = query * model.convolve(total / (model.levels + 1), f"{name}.h")
    return model.linear(modulated.permute(0, 2, 3, 1), f"{name}.proj")


def positions(height: int, width: int, dim: int) -> Tensor:
    """Return sine positions, (height * width, dim)."""
    half = dim // 2
    table = torch.zeros(height, width, dim)
    for feature in range(half):
        period = 10000 ** (2 * (feature // 2) / half)
        wave = torch.cos if feature % 2 else torch.sin
        y = torch.arange(1, height + 1) / (height + 1e-6) * 2 * math.pi
        x = torch.arange(1, width + 1) / (width + 1e-6) * 2 * math.pi
        table[..., feature] = wave(y / period)[:, None]
        table[..., half + feature] = wave(x / period)[None]
    return table.flatten(0, 1)


def decode_pixels(model: Released, features: list[Tensor]) -> tuple[list[Tensor], Tensor]:
    """Return the three feature levels and the mask features."""
    x = model.convolve(features[-1], f"{DECODER}.input_proj")
    _, dim, height, width = x.shape
    place, tokens = positions(height, width, dim), x[0].flatten(1).T
    for layer in range(model.count(f"{DECODER}.transformer.encoder.layers.")):
        name = f"{DECODER}.transformer.encoder.layers.{layer}"
        attended = model.attend(f"{name}.self_attn", tokens + place, tokens + place, tokens)
        tokens = model.norm(tokens + attended, f"{name}.norm1")
        hidden = model.linear(F.relu(model.linear(tokens, f"{name}.linear1")), f"{name}.linear2")
        tokens = model.norm(tokens + hidden, f"{name}.norm2")

    def normed(x: Tensor, name: str, padding: int) -> Tensor:
        weight, bias = model.state[f"{name}.norm.weight"], model.state[f"{name}.norm.bias"]
        return F.group_norm(model.convolve(x, name, padding=padding), model.groups, weight, bias)

    y = F.relu(normed(tokens.T.reshape(1, dim, height, width), f"{DECODER}.layer_4", 1))
    levels = [y]
    for number, feature in zip((3, 2, 1), features[-2::-1], strict=True):
        lateral = normed(feature, f"{DECODER}.adapter_{number}", 0)
        y = lateral + F.interpolate(y, lateral.shape[2:], mode="nearest")
        y = F.relu(normed(y, f"{DECODER}.layer_{number}", 1))
        levels.append(y)
    return levels[:3], model.convolve(levels[3], f"{DECODER}.mask_features", padding=1)


def encode_text(model: Released, ids: list[int]) -> tuple[Tensor, Tensor]:
    """Return a prompt's tokens from start to end, (T, C), and its embedding (C,), from ids of any length."""
    x = model.state[f"{TEXT}.token_embedding.weight"][torch.tensor(ids)]
    x = x + model.state[f"{TEXT}.positional_embedding"][: len(ids)]
    future = torch.full((len(ids), len(ids)), -math.inf).triu(1)
    for block in range(model.count(f"{TEXT}.resblocks.")):
        name = f"{TEXT}.resblocks.{block}"
        normed = model.norm(x, f"{name}.ln_1", 1e-12)
        x = x + model.attend(f"{name}.attn", normed, normed, normed, future, model.text_heads)
        hidden = model.linear(model.norm(x, f"{name}.ln_2", 1e-12), f"{name}.mlp.c_fc")
        x = x + model.linear(hidden * torch.sigmoid(1.702 * hidden), f"{name}.mlp.c_proj")
    x = model.norm(x, f"{TEXT}.ln_final", 1e-12) @ model.state[f"{PREDICTOR}.lang_encoder.lang_proj"]
    end = ids.index(49407)
    return x[: end + 1], x[end]


def decode_masks(model: Released, levels: list[Tensor], mask_features: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Return the queries' embeddings (Q, C) and mask logits (Q, H / 4, W / 4)."""
    state = model.state
    queries = state[f"{PREDICTOR}.query_feat.weight"]
    places = torch.cat([state[f"{PREDICTOR}.query_embed.weight"], tokens])
    count, dim = queries.shape

    def heads(queries: Tensor) -> tuple[Tensor, Tensor]:
        normed = model.norm(queries, f"{PREDICTOR}.decoder_norm")
        masks = normed
        for layer in range(3):
            masks = model.linear(F.relu(masks) if layer else masks, f"{PREDICTOR}.mask_embed.layers.{layer}")
        return normed @ state[f"{PREDICTOR}.class_embed"], torch.einsum("qc,chw->qhw", masks, mask_features[0])

    texts, logits = heads(queries)
    for layer in range(model.count(f"{PREDICTOR}.transformer_ffn_layers.")):
        level = levels[layer % 3]
        height, width = level.shape[2:]
        resized = F.interpolate(logits[None], (height, width), mode="bilinear", align_corners=False)[0]
        hidden = (resized.sigmoid() < 0.5).flatten(1)
        hidden[hidden.all(dim=1)] = False
        value = level[0].flatten(1).T + state[f"{PREDICTOR}.level_embed.weight"][layer % 3]
        name = f"{PREDICTOR}.transformer_cross_attention_layers.{layer}"
        key = value + positions(height, width, dim)
        seen = model.attend(f"{name}.multihead_attn", queries + places[:count], key, value, hidden)
        queries = model.norm(queries + seen, f"{name}.norm")
        both = torch.cat([queries, tokens])
        name = f"{PREDICTOR}.transformer_self_attention_layers.{layer}"
        exchanged = model.attend(f"{name}.self_attn", both + places, both + places, both)
        both = model.norm(both + exchanged, f"{name}.norm")
        name = f"{PREDICTOR}.transformer_ffn_layers.{layer}"
        hidden = model.linear(F.relu(model.linear(both, f"{name}.linear1")), f"{name}.linear2")
        both = model.norm(both + hidden, f"{name}.norm")
        queries, tokens = both[:count], both[count:]
        texts, logits = heads(queries)
    return texts, logits


def similarity(model: Released, texts: Tensor, embedding: Tensor) -> Tensor:
    """Return the scaled cosine similarity of each query to the prompt, (Q,)."""
    scale = model.state[f"{PREDICTOR}.lang_encoder.logit_scale"].exp().clamp(max=100)
    texts = texts / (texts.norm(dim=-1, keepdim=True) + 1e-7)
    return scale * (texts @ (embedding / (embedding.norm() + 1e-7)))


@torch.inference_mode()
def segment(model: Released, rgb: Tensor, ids: list[int], shape: tuple[int, int]) -> Tensor:
    """Answer one prompt on one image from the beginning: probabilities, float32 ``shape``."""
    levels, mask_features = decode_pixels(model, encode_image(model, rgb))
    tokens, embedding = encode_text(model, ids)
    texts, logits = decode_masks(model, levels, mask_features, tokens)
    chosen = logits[similarity(model, texts, embedding).argmax()]
    return F.interpolate(chosen[None, None], shape, mode="bilinear", align_corners=False)[0, 0].sigmoid()


def merge(probabilities: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give every pixel to the most probable object, pixel by pixel; uint8 masks of the objects that remain."""
    shape = next(iter(probabilities.values())).shape
    area = {name: int((p > 0.1).sum()) for name, p in probabilities.items()}
    mean = {name: float(p[p > 0.1].mean()) if area[name] else 0.0 for name, p in probabilities.items()}
    won = dict.fromkeys(probabilities, 0)
    for y in range(shape[0]):
        for x in range(shape[1]):
            here = {name: p[y, x] for name, p in probabilities.items() if p[y, x] > 0.1}
            if here:
                won[max(here, key=here.__getitem__)] += 1
    best = max(mean, key=mean.__getitem__)
    kept = [name for name in probabilities if won[name] >= 0.5 * area[name] or name == best]
    masks = {name: np.zeros(shape, np.uint8) for name in kept}
    for y in range(shape[0]):
        for x in range(shape[1]):
            here = {name: probabilities[name][y, x] for name in kept if probabilities[name][y, x] > 0.5}
            if here:
                masks[max(here, key=here.__getitem__)][y, x] = 1
    return masks
