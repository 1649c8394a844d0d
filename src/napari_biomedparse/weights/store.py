"""The models folder: weights that a user imported or converted, under the presets' names."""

from __future__ import annotations

import shutil
from pathlib import Path

from napari_biomedparse.files.replacing import clear_beside, reason, replacing
from napari_biomedparse.model.errors import CheckpointError
from napari_biomedparse.weights.files import check_room
from napari_biomedparse.weights.folders import MODELS, models_folder
from napari_biomedparse.weights.sources import SOURCES
from napari_biomedparse.weights.whole import read_whole

# Converted weights first: they load fastest.
ENDINGS = (".safetensors", ".pt")


def stored(name: str) -> list[Path]:
    """Return a preset's files in the models folder, the one to be preferred first."""
    return [path for path in (models_folder() / f"{name}{ending}" for ending in ENDINGS) if path.is_file()]


def import_file(path: Path, name: str, overwrite: bool = False) -> Path:
    """Copy a user's file into the models folder, once it is known to be the preset's weights.

    Parameters
    ----------
    path
        The published checkpoint, or a file converted from it.
    name
        A preset whose weights do not come with the package.
    overwrite
        Whether to replace what the folder has under that name.

    Returns
    -------
    Path
        The copy.

    Raises
    ------
    CheckpointError
        If it is damaged or not that preset's weights, the name is taken, or the copy cannot be written.
    """
    if name not in SOURCES or SOURCES[name].hub_file is None:
        names = ", ".join(name for name, source in SOURCES.items() if source.hub_file)
        raise CheckpointError(f"Weights can be imported as {names}, not as {name!r}.")
    held = read_whole(path).checkpoint.config.name
    if held != name:
        raise CheckpointError(f"{path} holds the weights of {held!r}, not of {name!r}; use it by its path.")
    target = models_folder() / f"{name}{'.safetensors' if path.suffix == '.safetensors' else '.pt'}"
    earlier = stored(name)
    if path.resolve() in [file.resolve() for file in earlier]:
        raise CheckpointError(f"{path} is in the models folder already.")
    if earlier and not overwrite:
        raise CheckpointError(f"{name} is there already as {earlier[0]}; add --overwrite to replace it.")
    _copy(path, target)
    for file in earlier:
        if file != target:
            file.unlink()
    return target


def _copy(path: Path, target: Path) -> None:
    """Copy a file so that the target is whole or not there."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        clear_beside(target)
        check_room(target.parent, path.stat().st_size)
        with replacing(target) as partial:
            shutil.copyfile(path, partial)
    except OSError as error:
        raise CheckpointError(
            f"{target} cannot be written ({reason(error)}); make room or set {MODELS} to another folder."
        ) from error
