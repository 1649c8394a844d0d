"""From a model's name to its file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from napari_biomedparse.model.checkpoint import CheckpointError
from napari_biomedparse.model.config import PRESETS


def locate(name_or_path: str | Path) -> Path:
    """Return the weights' file for a preset's name or a file's path.

    Raises
    ------
    CheckpointError
        If it is neither, or the preset's weights are not there.
    """
    name = str(name_or_path)
    if name in PRESETS:
        path = Path(str(files("napari_biomedparse").joinpath(f"resources/models/{name}.safetensors")))
        if not path.is_file():
            raise CheckpointError(
                f"The weights of {name!r} are not part of the package; give the path of a checkpoint instead."
            )
        return path
    if Path(name).exists() or Path(name).suffix or len(Path(name).parts) > 1:
        return Path(name).expanduser()
    raise CheckpointError(f"There is no model called {name!r}: use {', '.join(PRESETS)} or the path of a checkpoint.")
