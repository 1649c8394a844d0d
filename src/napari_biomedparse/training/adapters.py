"""Train a part of a network only: frozen parts, and low-rank adapters that are merged into the weights at the end.

An adapter changes a weight matrix W, (out, in), to W + scale * up @ down with ``up`` (out, rank) and ``down``
(rank, in), and only these two are trained (Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021).
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from napari_biomedparse.model.attention import Attention
from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.training.config import ConfigError, TrainConfig


class LowRank(nn.Module):
    """A change of low rank, zero to begin with.

    Parameters
    ----------
    weight
        The matrix to change, (out, in).
    rank
        Rank of the change.
    scale
        Factor on it.
    """

    def __init__(self, weight: Tensor, rank: int, scale: float) -> None:
        super().__init__()
        outputs, inputs = weight.shape
        self.scale = scale
        self.down = nn.Parameter(weight.new_empty(rank, inputs))
        self.up = nn.Parameter(weight.new_zeros(outputs, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the changed matrix, in float32 also under autocast, as it will be when merged."""
        with torch.autocast(weight.device.type, enabled=False):
            return weight + self.scale * (self.up @ self.down)


def restrict(model: BiomedParse, config: TrainConfig) -> None:
    """Freeze parts of a network and add adapters, as a run's configuration says.

    Raises
    ------
    ConfigError
        If the network lacks a part, no part is left for the adapters, or nothing is left to train.
    """
    # What is frozen does not change a bit, so it gets no adapters either.
    adapted = [name for name in config.adapters.parts if name not in config.freeze] if config.adapters.rank else []
    if config.adapters.rank and not adapted:
        raise ConfigError("All parts that would get adapters are frozen; leave one of them out of freeze.")
    for name in (*config.freeze, *adapted):
        if getattr(model, name) is None:
            raise ConfigError(f"The network {model.config.name!r} has no {name}; do not freeze or adapt it.")
        getattr(model, name).requires_grad_(False)
    for name in adapted:
        for module in list(getattr(model, name).modules()):
            # Attention keeps its three projections in one matrix.
            matrix = {nn.Linear: "weight", Attention: "project_in"}.get(type(module))
            if matrix:
                change = LowRank(getattr(module, matrix), config.adapters.rank, config.adapters.scale)
                parametrize.register_parametrization(module, matrix, change)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ConfigError("All parts of the network are frozen; leave one to train, or add adapters.")


def set_training(model: BiomedParse) -> None:
    """Put a network into training mode, but for parts that are frozen altogether: those drop no branches."""
    model.train()
    for part in model.children():
        if not any(parameter.requires_grad for parameter in part.parameters()):
            part.eval()


def follower(model: BiomedParse) -> BiomedParse:
    """Return a copy for the average of the weights, which shares what is frozen instead of holding it twice."""
    frozen = {id(parameter): parameter for parameter in model.parameters() if not parameter.requires_grad}
    return copy.deepcopy(model, frozen).eval().requires_grad_(False)


def merged(model: BiomedParse) -> BiomedParse:
    """Return an ordinary network whose weights hold what the adapters changed."""
    plain = copy.deepcopy(model)
    for module in list(plain.modules()):
        if parametrize.is_parametrized(module):
            for name in list(module.parametrizations):  # type: ignore[arg-type]
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    return plain
