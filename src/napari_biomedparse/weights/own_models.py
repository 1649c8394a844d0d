"""Models of the user's own, and the list of all models that there are to choose from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from napari_biomedparse.model.config import CONFIG_KEY
from napari_biomedparse.model.errors import CheckpointError
from napari_biomedparse.weights.folders import models_folder
from napari_biomedparse.weights.places import places
from napari_biomedparse.weights.sources import SOURCES

LONGEST_NAME = 60


@dataclass(frozen=True)
class ModelChoice:
    """A model to choose.

    Attributes
    ----------
    name
        What :func:`~napari_biomedparse.weights.locate` finds it by.
    title
        What people read.
    where
        The part of the computer that its weights are in; empty if they are not here yet.
    ready
        Whether its weights are here.
    """

    name: str
    title: str
    where: str
    ready: bool


def model_choices() -> list[ModelChoice]:
    """Return the presets and the user's own models, without loading them or asking the network."""
    choices = []
    for name in SOURCES:
        found = places(name)
        title = name if found else f"{name} (not downloaded)"
        choices.append(ModelChoice(name, title, found[0].where if found else "", bool(found)))
    return [*choices, *(ModelChoice(name, f"{name} (yours)", "own models", True) for name in own_models())]


def own_models() -> list[str]:
    """Return the names of the user's own models, in alphabetical order."""
    # Weights of presets that were imported or converted lie in the models folder too.
    found = [path.stem for path in models_folder().glob("*.safetensors") if path.is_file()]
    return sorted((name for name in found if name not in SOURCES and "." not in name), key=str.casefold)


def own_model_path(name: str) -> Path:
    """Return the file that a model of the user's own has, or would have."""
    return models_folder() / f"{name}.safetensors"


def check_name(name: str) -> None:
    """Refuse a name that no new model can have.

    Raises
    ------
    CheckpointError
        If it is taken, empty, too long, or has other than letters, digits, spaces, hyphens and underscores.
    """
    if not name.strip():
        raise CheckpointError("The model needs a name; type one, for example: my nuclei")
    if len(name) > LONGEST_NAME:
        raise CheckpointError(f"The name is too long; give one of up to {LONGEST_NAME} letters.")
    if name != name.strip() or not all(letter.isalnum() or letter in " -_" for letter in name):
        raise CheckpointError(f"{name!r} is no name for a model; use letters, digits, spaces, hyphens and underscores.")
    # Some file systems take large and small letters for the same.
    if name.casefold() in {taken.casefold() for taken in (*SOURCES, *own_models())}:
        raise CheckpointError(f"There is a model called {name!r} already; choose another name.")


def licence_of(path: Path) -> str:
    """Return the licence of weights written by this program: that of the preset they come from; empty if unknown."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            config = json.loads((file.metadata() or {}).get(CONFIG_KEY, "{}"))
    except (SafetensorError, OSError, ValueError):
        return ""
    source = SOURCES.get(str(config.get("name"))) if isinstance(config, dict) else None
    return source.licence if source else ""
