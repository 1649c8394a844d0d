"""Losses of joint training: which query answers a prompt, its words, and its mask at sampled points.

Matching and weights follow the released BiomedParse configuration; point sampling is PointRend's
(Kirillov et al., CVPR 2020) as used by Mask2Former.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.mask_decoder import ImageFeatures, QueryHeads
from napari_biomedparse.model.text_encoder import TextFeatures


@dataclass(frozen=True)
class LossConfig:
    """Weights and point counts.

    The published run samples 12,544 points on 256 x 256 mask logits; ``points`` is smaller for smaller inputs.
    It matches with a text weight of 2. Starting from nothing that leaves the choice to chance, because every query
    sees the prompt and learns the mask equally well; ``match_text_weight`` makes the query that the words already
    favour the one that is taught.
    """

    text_weight: float = 2.0 * 0.4
    match_text_weight: float = 4.0
    mask_weight: float = 5.0
    dice_weight: float = 5.0
    core_weight: float = 2.5
    points: int = 2048
    oversample: int = 3
    importance: float = 0.75


def sample_points(maps: Tensor, points: Tensor) -> Tensor:
    """Interpolate maps (B, C, H, W) at ``points`` (B, N, 2), (x, y) in [0, 1]; return (B, C, N)."""
    grid = 2 * points[:, :, None] - 1
    return F.grid_sample(maps, grid, mode="bilinear", align_corners=False)[..., 0]


def dice_loss(probability: Tensor, target: Tensor) -> Tensor:
    """One minus the Dice overlap over the last axis, both sums smoothed by one."""
    overlap = 2 * (probability * target).sum(-1) + 1
    return 1 - overlap / (probability.sum(-1) + target.sum(-1) + 1)


def prompt_losses(
    model: BiomedParse,
    image: ImageFeatures,
    text: TextFeatures,
    heads: list[QueryHeads],
    target: Tensor,
    config: LossConfig,
    cores: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return the loss terms, averaged over prompts and summed over all prediction heads.

    Parameters
    ----------
    model
        The network the heads came from.
    image, text
        B encoded images and their B * P encoded prompts.
    heads
        The decoder's heads, first to last.
    target
        Masks (B, P, S, S), 0 or 1; all zero where the prompt's object is absent.
    config
        Weights and point counts.
    cores
        Inner parts of the targets' separate objects (B, P, S, S), 0 or 1, negative where not known; for networks that
        give them. They count at the last head only.

    Returns
    -------
    dict
        Weighted scalars ``text``, ``mask`` and ``dice``, and with ``cores`` also ``core``.
    """
    images, prompts = target.shape[:2]
    candidates = config.points * config.oversample
    points = torch.rand(images, candidates, 2, device=target.device)
    features = sample_points(model.pixel_decoder.mask_features(image.finest), points)
    detail = None if image.detail is None else sample_points(image.detail, points)

    def project(masks: Tensor) -> Tensor:
        """Return the logits (B, P, N) of mask embeddings (B, P, dim) at the points."""
        logits = torch.einsum("bpc,bcn->bpn", masks, features).float()
        if model.detail_path is None or detail is None:
            return logits
        return logits + torch.einsum("bpc,bcn->bpn", model.detail_path.embedding(masks), detail).float()

    truth = sample_points(target, points)
    embedding = text.embedding.reshape(images, prompts, -1)
    totals = {name: target.new_zeros(()) for name in ("text", "mask", "dice")}
    for head in heads:
        texts = model.mask_decoder.texts(head.states)
        words = model.mask_decoder.similarity(texts, embedding).log_softmax(dim=-1)
        matched = _match(words, head.masks, features[..., : config.points], truth[..., : config.points], config)
        chosen = head.masks.take_along_dim(matched[..., None, None], dim=2)[:, :, 0]
        logits = project(chosen)
        picked = _uncertain(logits.detach(), config)
        logits, labels = logits.gather(-1, picked), truth.gather(-1, picked)
        totals["text"] = totals["text"] - words.take_along_dim(matched[..., None], dim=-1).mean()
        totals["mask"] = totals["mask"] + F.binary_cross_entropy_with_logits(logits, labels)
        totals["dice"] = totals["dice"] + dice_loss(logits.sigmoid(), labels).mean()
    weights = {"text": config.text_weight, "mask": config.mask_weight, "dice": config.dice_weight}
    losses = {name: weights[name] * total for name, total in totals.items()}
    core_head = model.mask_decoder.core_head
    if core_head is not None and cores is not None:
        states = heads[-1].states.take_along_dim(matched[..., None, None], dim=2)[:, :, 0]
        labels = sample_points(cores, points)
        losses["core"] = config.core_weight * _core_loss(project(core_head(states)), labels)
    return losses


def _core_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return cross-entropy plus Dice loss over the prompts whose cores are known."""
    known = (labels >= 0).all(dim=-1)
    share = known.float() / known.sum().clamp(min=1)
    labels = labels.clamp(min=0)
    entropy = F.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(-1)
    return ((entropy + dice_loss(logits.sigmoid(), labels)) * share).sum()


@torch.no_grad()
def _match(words: Tensor, masks: Tensor, features: Tensor, truth: Tensor, config: LossConfig) -> Tensor:
    """Return the cheapest query per prompt, (B, P); one target per prompt makes Hungarian matching an argmin."""
    logits = torch.einsum("bpqc,bcn->bpqn", masks, features).float()
    labels = truth[:, :, None].expand_as(logits)
    mask = F.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(-1)
    dice = dice_loss(logits.sigmoid(), labels)
    cost = -config.match_text_weight * words.exp() + config.mask_weight * mask + config.dice_weight * dice
    return cost.argmin(dim=-1)


def _uncertain(logits: Tensor, config: LossConfig) -> Tensor:
    """Pick points (B, P, points): the least certain of the candidates, and the rest at random."""
    sure = round(config.points * config.importance)
    uncertain = (-logits.abs()).topk(sure, dim=-1).indices
    # The candidates are random already, so any fixed stretch of them is a random sample.
    random = torch.arange(config.points - sure, device=logits.device).expand(*logits.shape[:2], -1)
    return torch.cat([uncertain, random], dim=-1)
