"""Damage to weights that their names and shapes do not show."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from napari_biomedparse.model.errors import CheckpointError


def check_entries(path: Path) -> None:
    """Compare every entry of a checkpoint that torch wrote with the CRC-32 it has for it; other files have none.

    Raises
    ------
    CheckpointError
        If an entry is not what was written.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        damaged = str(error) or type(error).__name__
    if damaged is not None:
        raise CheckpointError(f"{path} is damaged ({damaged} does not have its checksum); copy or download it again.")


def check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuse weights with NaN or infinity.

    Raises
    ------
    CheckpointError
        If there are any; ``problems`` has all tensors.
    """
    bad = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if bad:
        raise CheckpointError(
            f"{path} is of no use: {_first(bad)} has values that are not finite; copy or download it again, or train "
            "it anew.",
            [f"{name} has values that are not finite" for name in bad],
        )


def check_fits(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    """Refuse to store weights in a type that has no such large numbers.

    Raises
    ------
    CheckpointError
        If a value would become infinite.
    """
    largest = torch.finfo(dtype).max
    bad = [name for name, tensor in tensors.items() if tensor.numel() and tensor.abs().max() > largest]
    if bad:
        raise CheckpointError(
            f"{_first(bad)} has values above {largest:.4g}, which {str(dtype).removeprefix('torch.')} cannot hold; "
            "take bfloat16 or float32."
        )


def _first(names: Sequence[str]) -> str:
    return names[0] + (f" (and {len(names) - 1} more)" if len(names) > 1 else "")
