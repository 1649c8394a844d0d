"""From a model's name to its file."""

from __future__ import annotations

from pathlib import Path

from napari_biomedparse.model.errors import CheckpointError
from napari_biomedparse.weights import hub, licence
from napari_biomedparse.weights.own_models import own_model_path, own_models
from napari_biomedparse.weights.places import Place, places
from napari_biomedparse.weights.sources import SOURCES

__all__ = ["Place", "find", "locate", "places"]


def find(name_or_path: str | Path) -> Path | None:
    """Return the weights' file for a model's name or a file's path; None if a preset's are not here yet.

    Raises
    ------
    CheckpointError
        If it is neither.
    """
    name = str(name_or_path)
    if name in SOURCES:
        found = places(name)
        return found[0].path if found else None
    own = own_models()
    if name in own:
        return own_model_path(name)
    if Path(name).exists() or Path(name).suffix or len(Path(name).parts) > 1:
        return Path(name).expanduser()
    raise CheckpointError(
        f"There is no model called {name!r}: use {', '.join([*SOURCES, *own])} or the path of a checkpoint."
    )


def locate(name_or_path: str | Path) -> Path:
    """Return the weights' file for a model's name or a file's path; download a preset's if they are not here yet.

    Parameters
    ----------
    name_or_path
        A preset, a model of the user's own, or a file.

    Raises
    ------
    CheckpointError
        If it is none of them, or the download fails: :class:`~napari_biomedparse.weights.hub_errors.HubError`.
    LicenceError
        If a download is needed and the licence of the weights was not accepted.
    """
    path = find(name_or_path)
    if path is not None:
        return path
    name = str(name_or_path)
    licence.require(name)
    hub_file = SOURCES[name].hub_file
    assert hub_file is not None  # what comes with the package was found
    return hub.download(hub_file)
