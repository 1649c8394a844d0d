"""Weights on disk: safetensors with the configuration inside."""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.config import PRESETS, ModelConfig

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
    """Read a network written by :func:`save_model`, on the CPU, in float32, ready for inference.

    Raises
    ------
    CheckpointError
        If the file is missing, is not such a file, or its tensors do not fit its configuration.
    """
    if not path.is_file():
        raise CheckpointError(f"There are no model weights at {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if CONFIG_KEY not in metadata:
                raise CheckpointError(f"{path} holds no model configuration; it was not written by this program.")
            config = ModelConfig.from_dict(json.loads(metadata[CONFIG_KEY]))
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is not a readable safetensors file ({error}); copy it again.") from error
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    with torch.device("meta"), _ShapesOnly():
        model = BiomedParse(config)
    wanted = model.state_dict()
    problems = [f"{name} is missing" for name in wanted.keys() - tensors.keys()]
    problems += [f"{name} is not part of the model" for name in tensors.keys() - wanted.keys()]
    problems += [
        f"{name} has shape {tuple(tensors[name].shape)}, not {tuple(wanted[name].shape)}"
        for name in wanted.keys() & tensors.keys()
        if tensors[name].shape != wanted[name].shape
    ]
    if problems:
        raise CheckpointError(f"{path} does not fit its configuration: {'; '.join(sorted(problems)[:10])}.")
    model.load_state_dict(tensors, assign=True)
    model.reset_pixel_statistics()
    return model.eval().requires_grad_(False)


def resolve(name_or_path: str | Path) -> BiomedParse:
    """Return the network for a preset's name or a file's path.

    Raises
    ------
    CheckpointError
        If it is neither, or the preset's weights are not in the package.
    """
    name = str(name_or_path)
    if name in PRESETS:
        resource = files("napari_biomedparse").joinpath(f"resources/models/{name}.safetensors")
        with as_file(resource) as path:
            if not path.is_file():
                raise CheckpointError(
                    f"The weights of {name!r} are not part of the package; give the path of a checkpoint instead."
                )
            return load_model(path)
    if Path(name).exists() or Path(name).suffix or len(Path(name).parts) > 1:
        return load_model(Path(name).expanduser())
    raise CheckpointError(f"There is no model called {name!r}: use {', '.join(PRESETS)} or the path of a checkpoint.")
