"""What a model is like, without its weights and without torch."""

from __future__ import annotations

import json
from pathlib import Path

from napari_biomedparse.model.config import CONFIG_KEY, PRESETS, ModelConfig, preset
from napari_biomedparse.weights.locate import find


def config_of(name_or_path: str | Path) -> ModelConfig:
    """Return the configuration of a model, of whose file the head is read at most.

    Files without one inside count as the published checkpoint; whether they are, and can be used, shows when the model
    is loaded.

    Parameters
    ----------
    name_or_path
        As for :func:`~napari_biomedparse.weights.locate`; nothing is downloaded.
    """
    name = str(name_or_path)
    if name in PRESETS:
        return PRESETS[name]
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(find(name) or name, framework="numpy") as file:
            return ModelConfig.from_dict(json.loads((file.metadata() or {})[CONFIG_KEY]))
    except (SafetensorError, OSError, ValueError, KeyError):
        return preset("biomedparse-v1")
