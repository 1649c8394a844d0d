"""From a model's name to its file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from napari_biomedparse.model.errors import CheckpointError
from napari_biomedparse.weights import hub, licence
from napari_biomedparse.weights.sources import SOURCES
from napari_biomedparse.weights.store import stored


class Place(NamedTuple):
    """A file of weights and the part of the computer that it is in."""

    path: Path
    where: str


def places(name: str) -> list[Place]:
    """Return where a preset's weights are on this computer, the place that is used first."""
    hub_file = SOURCES[name].hub_file
    if hub_file is None:
        path = Path(str(files("napari_biomedparse").joinpath(f"resources/models/{name}.safetensors")))
        return [Place(path, "package")]
    found = [Place(path, "models folder") for path in stored(name)]
    cached = hub.find_cached(hub_file)
    return [*found, Place(cached, "Hugging Face cache")] if cached else found


def find(name_or_path: str | Path) -> Path | None:
    """Return the weights' file for a preset's name or a file's path; None if the preset's are not here yet.

    Raises
    ------
    CheckpointError
        If it is neither.
    """
    name = str(name_or_path)
    if name in SOURCES:
        found = places(name)
        return found[0].path if found else None
    if Path(name).exists() or Path(name).suffix or len(Path(name).parts) > 1:
        return Path(name).expanduser()
    raise CheckpointError(f"There is no model called {name!r}: use {', '.join(SOURCES)} or the path of a checkpoint.")


def locate(name_or_path: str | Path) -> Path:
    """Return the weights' file for a preset's name or a file's path; download the preset's if they are not here yet.

    Raises
    ------
    CheckpointError
        If it is neither, or the download fails: :class:`~napari_biomedparse.weights.hub_errors.HubError`.
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
