"""Segment biomedical images with words: BiomedParse for napari, Python and the command line.

The public names are loaded when first used, so that importing the package needs neither torch nor Qt.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_biomedparse.engine.boxes import Box
    from napari_biomedparse.engine.follow import follow
    from napari_biomedparse.engine.labels import LabelImage, compose_labels
    from napari_biomedparse.engine.measure import PixelSize, measure_objects
    from napari_biomedparse.engine.predictor import Predictor
    from napari_biomedparse.engine.preprocess import ImageError
    from napari_biomedparse.engine.prompts import PromptError
    from napari_biomedparse.engine.recipe import Recipe
    from napari_biomedparse.engine.recognition import Finding, Recognition
    from napari_biomedparse.engine.results import ObjectMask
    from napari_biomedparse.engine.views import EncodedImage
    from napari_biomedparse.errors import BiomedParseError
    from napari_biomedparse.model.checkpoint import CheckpointError

__version__ = "0.1.0"

_HOMES = {
    "BiomedParseError": "errors",
    "Box": "engine.boxes",
    "CheckpointError": "model.checkpoint",
    "EncodedImage": "engine.views",
    "Finding": "engine.recognition",
    "ImageError": "engine.preprocess",
    "LabelImage": "engine.labels",
    "ObjectMask": "engine.results",
    "PixelSize": "engine.measure",
    "Predictor": "engine.predictor",
    "PromptError": "engine.prompts",
    "Recipe": "engine.recipe",
    "Recognition": "engine.recognition",
    "compose_labels": "engine.labels",
    "follow": "engine.follow",
    "measure_objects": "engine.measure",
}

__all__ = [
    "BiomedParseError",
    "Box",
    "CheckpointError",
    "EncodedImage",
    "Finding",
    "ImageError",
    "LabelImage",
    "ObjectMask",
    "PixelSize",
    "Predictor",
    "PromptError",
    "Recipe",
    "Recognition",
    "compose_labels",
    "follow",
    "measure_objects",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
