"""A network's names and shapes, before its values are read."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.config import ModelConfig


def without_values(config: ModelConfig) -> BiomedParse:
    """Return a network whose tensors have shapes and take no memory."""
    with torch.device("meta"), _ShapesOnly():
        return BiomedParse(config)


class _ShapesOnly(TorchFunctionMode):
    """Build a network without computing its starting values.

    On meta tensors torch imports its compiler for random numbers and for arithmetic, which takes two seconds.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.randn:
            return torch.empty(*args, **kwargs)
        if func is nn.init.normal_:
            return kwargs["tensor"]
        if func in (Tensor.mul, Tensor.div):  # by a number: the shape stays
            return args[0]
        return func(*args, **kwargs)
