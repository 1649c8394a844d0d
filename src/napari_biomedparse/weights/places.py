"""Where on this computer the weights of the presets are."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from napari_biomedparse.weights import hub
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
