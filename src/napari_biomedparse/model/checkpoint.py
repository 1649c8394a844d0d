"""Weights on disk: safetensors with the configuration inside, and the published checkpoint."""

from __future__ import annotations

import json
import logging
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.config import ModelConfig, preset
from napari_biomedparse.model.published import MARK, from_published, is_unused

logger = logging.getLogger(__name__)

CONFIG_KEY = "napari_biomedparse.config"


class CheckpointError(ValueError):
    """Weights that cannot be used; the message says why and what to do."""


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


def save_model(model: BiomedParse, path: Path, dtype: torch.dtype = torch.float16) -> None:
    """Write a network's weights and configuration to one safetensors file.

    Parameters
    ----------
    model
        The network.
    path
        File to write; replaced only once the new one is complete.
    dtype
        Type the weights are stored in.
    """
    tensors = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in model.state_dict().items()}
    partial = path.with_suffix(".partial")
    partial.write_bytes(save(tensors, metadata={CONFIG_KEY: json.dumps(model.config.to_dict())}))
    partial.replace(path)


def load_model(path: Path) -> BiomedParse:
    """Read a network, on the CPU, in float32, ready for inference.

    Parameters
    ----------
    path
        A file written by :func:`save_model`, or the published checkpoint (``biomedparse_v1.pt``, or its tensors as
        safetensors). Tensors in float32 are mapped from the file, not copied.

    Raises
    ------
    CheckpointError
        If the file is missing, is no such file, or its tensors do not fit the network.
    """
    if not path.is_file():
        raise CheckpointError(f"There are no model weights at {path}.")
    tensors, config = _read_torch(path) if zipfile.is_zipfile(path) else _read_safetensors(path)
    with torch.device("meta"), _ShapesOnly():
        model = BiomedParse(config or preset("biomedparse-v1"))
    wanted = model.state_dict()
    if config is None:
        tensors, left = from_published(tensors, list(wanted))
        _report_left(path, left)
        left = []
    else:
        left = sorted(tensors.keys() - wanted.keys())
    problems = [f"{name} is missing" for name in wanted.keys() - tensors.keys()]
    problems += [f"{name} is not part of the model" for name in left]
    problems += [
        f"{name} has shape {tuple(tensors[name].shape)}, not {tuple(wanted[name].shape)}"
        for name in wanted.keys() & tensors.keys()
        if tensors[name].shape != wanted[name].shape
    ]
    if problems:
        more = f" and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise CheckpointError(f"{path} does not fit the model: {'; '.join(sorted(problems)[:10])}{more}.")
    model.load_state_dict(tensors, assign=True)
    model.reset_pixel_statistics()
    return model.eval().requires_grad_(False)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], ModelConfig | None]:
    """Return tensors and configuration; None instead of it for the published checkpoint's tensors."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            names = file.keys()
            if CONFIG_KEY in metadata:
                config = ModelConfig.from_dict(json.loads(metadata[CONFIG_KEY]))
            elif MARK in names:
                config = None
            else:
                raise CheckpointError(f"{path} holds no model configuration; it was not written by this program.")
            return {name: file.get_tensor(name).float() for name in names}, config
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is not a readable checkpoint ({error}); copy it again.") from error
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _read_torch(path: Path) -> tuple[dict[str, Tensor], None]:
    """Return the tensors of a published checkpoint, mapped from the file."""
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, UnpicklingError, OSError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} is not a readable checkpoint ({reason}); copy it again.") from error
    if not isinstance(tensors, dict) or not isinstance(tensors.get(MARK), Tensor):
        raise CheckpointError(f"{path} is not the published BiomedParse checkpoint: it has no tensor {MARK}.")
    return {name: tensor.float() for name, tensor in tensors.items() if isinstance(tensor, Tensor)}, None


def _report_left(path: Path, left: list[str]) -> None:
    """Name what a published checkpoint holds and text prompts do not use."""
    unknown = [name for name in left if not is_unused(name)]
    if unknown:
        logger.warning("%s: ignored tensors that the published model does not have: %s", path, ", ".join(unknown))
    logger.info("%s: not used by text prompts: %s", path, ", ".join(name for name in left if is_unused(name)))
