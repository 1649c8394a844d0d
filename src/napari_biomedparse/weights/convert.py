"""Weights rewritten under this project's names, with their configuration."""

from __future__ import annotations

from pathlib import Path

from napari_biomedparse.files.replacing import reason
from napari_biomedparse.model.errors import CheckpointError
from napari_biomedparse.weights.files import check_room
from napari_biomedparse.weights.folders import models_folder
from napari_biomedparse.weights.locate import find, places
from napari_biomedparse.weights.sources import SOURCES
from napari_biomedparse.weights.whole import read_whole


def convert(name_or_path: str, output: Path | None, dtype: str, overwrite: bool = False) -> Path:
    """Write a checkpoint as safetensors under this project's names, with its configuration inside.

    Parameters
    ----------
    name_or_path
        A preset whose weights are here, or a file.
    output
        File to write; None for the models folder, where the preset's name then finds it.
    dtype
        ``"float32"``, which is mapped from the file when loaded, ``"float16"`` or ``"bfloat16"``.
    overwrite
        Whether to replace ``output``.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    CheckpointError
        If the weights are not here, damaged or too large for ``dtype``, ``output`` is there already, or it cannot be
        written.
    """
    from napari_biomedparse.model.checkpoint import DTYPES, save_tensors
    from napari_biomedparse.model.damage import check_fits

    if dtype not in DTYPES:
        raise CheckpointError(f"Weights can be stored as {', '.join(DTYPES)}, not as {dtype!r}.")
    original = _original(name_or_path)
    checkpoint = read_whole(original).checkpoint
    name = checkpoint.config.name
    if output is None:
        if name not in SOURCES or SOURCES[name].hub_file is None:
            raise CheckpointError(f"The models folder has no place for weights of {name!r}; name a file to write.")
        output = models_folder() / f"{name}.safetensors"
    if output.exists() and output.samefile(original):
        raise CheckpointError(f"{output} would replace itself; name another file to write or another to convert.")
    if output.exists() and not overwrite:
        raise CheckpointError(f"{output} is there already; add --overwrite to replace it.")
    check_fits(checkpoint.tensors, DTYPES[dtype])
    values = sum(tensor.numel() for tensor in checkpoint.tensors.values())
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        check_room(output.parent, values * DTYPES[dtype].itemsize)
    except OSError as error:
        raise CheckpointError(f"{output} cannot be written ({reason(error)}); choose another folder.") from error
    save_tensors(checkpoint.tensors, checkpoint.config, output, DTYPES[dtype])
    return output


def _original(name_or_path: str) -> Path:
    """Return the file to convert: a preset's as it was published, rather than one converted from that."""
    path = places(name_or_path)[-1].path if name_or_path in SOURCES and places(name_or_path) else find(name_or_path)
    if path is None:
        raise CheckpointError(
            f"The weights of {name_or_path!r} are not here; run `napari-biomedparse models download {name_or_path}`."
        )
    return path
