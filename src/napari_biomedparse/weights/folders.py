"""Folders of this program on a user's computer, and the variables of the environment that move them."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_config_path, user_data_path

PROGRAM = "napari-biomedparse"
# Folder of weights: imported, converted and the user's own.
MODELS = "NAPARI_BIOMEDPARSE_MODELS"
# Folder of what a user has chosen and accepted.
CONFIG = "NAPARI_BIOMEDPARSE_CONFIG"


def models_folder() -> Path:
    """Return the folder of weights: ``NAPARI_BIOMEDPARSE_MODELS``, or the system's place for a user's data."""
    return _given(MODELS) or user_data_path(PROGRAM, appauthor=False) / "models"


def config_folder() -> Path:
    """Return the folder of settings: ``NAPARI_BIOMEDPARSE_CONFIG``, or the system's place for a user's settings."""
    return _given(CONFIG) or user_config_path(PROGRAM, appauthor=False)


def _given(variable: str) -> Path | None:
    folder = os.environ.get(variable)
    return Path(folder).expanduser() if folder else None
