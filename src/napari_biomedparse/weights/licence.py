"""The licence of weights that others published: shown once, and its acceptance remembered."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path

from napari_biomedparse.files.replacing import reason, replacing
from napari_biomedparse.model.errors import CheckpointError
from napari_biomedparse.weights.folders import CONFIG, config_folder
from napari_biomedparse.weights.sources import SOURCES

# Names a model whose licence is accepted, for machines where nobody can be asked.
VARIABLE = "NAPARI_BIOMEDPARSE_ACCEPT_LICENCE"


class LicenceError(CheckpointError):
    """The licence of weights has not been accepted; the message holds it and says how to."""


def terms(name: str) -> str:
    """Return what a user has to know of a published model's licence."""
    return (
        f"The weights of {name} are published by Microsoft under {SOURCES[name].licence} "
        "(https://creativecommons.org/licenses/by-nc-sa/4.0/). They are for research only, not for commercial use and "
        "not for clinical use: do not base diagnosis or treatment on them. Name their authors (Zhao et al., Nature "
        "Methods 22, 166-176, 2025), and share what you derive from them under the same licence."
    )


def accepted(name: str) -> bool:
    """Return whether the licence of a model was accepted, now or earlier."""
    return os.environ.get(VARIABLE) == name or _remembered().get(name) == SOURCES[name].licence


def accept(name: str) -> None:
    """Remember that the licence of a model was accepted.

    Raises
    ------
    CheckpointError
        If it cannot be written down.
    """
    path = _file()
    content = {**_remembered(), name: SOURCES[name].licence, f"{name} accepted on": date.today().isoformat()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CheckpointError(
            f"The acceptance cannot be remembered in {path} ({reason(error)}); set {CONFIG} to a folder you may write "
            "in."
        ) from error


def require(name: str) -> None:
    """Refuse to go on without an accepted licence.

    Raises
    ------
    LicenceError
        If the licence was not accepted.
    """
    if not accepted(name):
        raise LicenceError(
            f"{terms(name)} To accept, run `napari-biomedparse models download {name}`, which asks, add "
            f"--accept-licence to it, or set {VARIABLE}={name}."
        )


def _file() -> Path:
    return config_folder() / "licences.json"


def _remembered() -> dict[str, str]:
    """Return what was written down; nothing where the file is missing or damaged, so that it is asked again."""
    try:
        content = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
