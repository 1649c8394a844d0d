"""Sample images that ship with the package."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from skimage.io import imread

LayerData = tuple[Any, dict[str, Any], str]


def _sample(file: str, name: str) -> list[LayerData]:
    pixels = imread(files("napari_biomedparse").joinpath("resources/samples", file))
    return [(pixels, {"name": name}, "image")]


def fluorescent_nuclei() -> list[LayerData]:
    """Return stained nuclei from the 2018 Data Science Bowl (BBBC038, CC0)."""
    return _sample("fluorescent_nuclei.png", "fluorescent nuclei")


def histology() -> list[LayerData]:
    """Return an H&E section from the 2018 Data Science Bowl (BBBC038, CC0)."""
    return _sample("histology.png", "histology")
