"""Weights on disk: safetensors with the configuration inside, and the published checkpoint."""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from napari_biomedparse.files.replacing import clear_beside, reason, replacing
from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.config import CONFIG_KEY, ModelConfig, preset
from napari_biomedparse.model.errors import CheckpointError
from napari_biomedparse.model.published import MARK, from_published, is_unused
from napari_biomedparse.model.tokenizer import byte_pair_model
from napari_biomedparse.model.without_values import without_values

logger = logging.getLogger(__name__)

__all__ = [
    "CONFIG_KEY",
    "DTYPES",
    "Checkpoint",
    "CheckpointError",
    "load_model",
    "read_checkpoint",
    "save_model",
    "save_tensors",
]

# Types that weights can be stored in.
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Checkpoint:
    """What a file of weights holds, found to fit its network.

    Attributes
    ----------
    config
        The network's configuration.
    tensors
        This project's name -> tensor in the type it is stored in, mapped from the file where the format allows it.
    unused
        The published checkpoint's tensors that text prompts do not need.
    unknown
        Tensors that the published checkpoint does not have.
    """

    config: ModelConfig
    tensors: dict[str, Tensor]
    unused: list[str]
    unknown: list[str]


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

    Raises
    ------
    CheckpointError
        If the file cannot be written.
    """
    save_tensors(model.state_dict(), model.config, path, dtype)


def save_tensors(tensors: Mapping[str, Tensor], config: ModelConfig, path: Path, dtype: torch.dtype) -> None:
    """Write tensors under this project's names and their configuration, as :func:`save_model` does.

    Raises
    ------
    CheckpointError
        If the file cannot be written.
    """
    stored = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_beside(path)
        with replacing(path) as partial:
            # safetensors makes files that only their owner can read, whatever the umask says.
            partial.touch()
            mode = partial.stat().st_mode
            save_file(stored, partial, metadata={CONFIG_KEY: json.dumps(config.to_dict())})
            partial.chmod(mode)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} cannot be written ({reason(error)}); make room or choose another folder."
        ) from error


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file of weights and check that every tensor of its network is there in its shape.

    Parameters
    ----------
    path
        A file written by :func:`save_model`, or the published checkpoint (``biomedparse_v1.pt``, or its tensors as
        safetensors).

    Raises
    ------
    CheckpointError
        If the file is missing, is no such file, or its tensors do not fit the network; ``problems`` lists them all.
    """
    return _read_for_network(path)[1]


def load_model(path: Path) -> BiomedParse:
    """Read a network, on the CPU, in float32, ready for inference.

    Parameters
    ----------
    path
        A file that :func:`read_checkpoint` reads. Tensors in float32 are mapped from the file, not copied.

    Raises
    ------
    CheckpointError
        If the file is missing, is no such file, or its tensors do not fit the network.
    """
    model, checkpoint = _read_for_network(path)
    if checkpoint.unknown:
        names = ", ".join(checkpoint.unknown)
        logger.warning("%s: ignored tensors that the published model does not have: %s", path, names)
    if checkpoint.unused:
        logger.info("%s: not used by text prompts: %s", path, ", ".join(checkpoint.unused))
    model.load_state_dict({name: tensor.float() for name, tensor in checkpoint.tensors.items()}, assign=True)
    model.reset_pixel_statistics()
    # Now, so that the first prompt does not wait for it.
    byte_pair_model()
    return model.eval().requires_grad_(False)


def _read_for_network(path: Path) -> tuple[BiomedParse, Checkpoint]:
    """Return a network without values, and the checkpoint that fits it."""
    if not path.is_file():
        raise CheckpointError(f"There are no model weights at {path}.")
    tensors, config = _read_torch(path) if zipfile.is_zipfile(path) else _read_safetensors(path)
    model = without_values(config or preset("biomedparse-v1"))
    wanted = model.state_dict()
    left: list[str] = []
    if config is None:
        tensors, left = from_published(tensors, list(wanted))
    problems = [f"{name} is missing" for name in wanted.keys() - tensors.keys()]
    problems += [f"{name} is not part of the model" for name in tensors.keys() - wanted.keys()]
    problems += [
        f"{name} has shape {tuple(tensors[name].shape)}, not {tuple(wanted[name].shape)}"
        for name in wanted.keys() & tensors.keys()
        if tensors[name].shape != wanted[name].shape
    ]
    if problems:
        problems.sort()
        more = f" and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise CheckpointError(f"{path} does not fit the model: {'; '.join(problems[:10])}{more}.", problems)
    unused = [name for name in left if is_unused(name)]
    unknown = [name for name in left if not is_unused(name)]
    return model, Checkpoint(model.config, tensors, unused, unknown)


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
            return {name: file.get_tensor(name) for name in names}, config
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
    return {name: tensor for name, tensor in tensors.items() if isinstance(tensor, Tensor)}, None
