"""How the learning rate rises and falls."""

from __future__ import annotations

import math

from napari_biomedparse.training.config import TrainConfig

# What is left of the rate at the end of the cosine, and after each milestone (published).
LEAST = 0.01
DROP = 0.1


def rate_at(step: int, config: TrainConfig) -> float:
    """Return the learning rate of a step, counted from 0.

    It rises linearly over ``config.warmup`` steps, times a cosine over all steps (Loshchilov and Hutter, SGDR, 2017),
    or times a tenth from each milestone on, as published.
    """
    warm = min(1.0, (step + 1) / max(config.warmup, 1))
    if config.schedule == "step":
        passed = sum(step >= round(share * config.steps) for share in config.milestones)
        return config.rate * warm * DROP**passed
    return config.rate * warm * (LEAST + (1 - LEAST) * (1 + math.cos(math.pi * step / config.steps)) / 2)
