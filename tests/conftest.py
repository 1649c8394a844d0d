"""Shared fixtures: the embedded model, small real images with masks, and the optional folder of shared data."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[1]
DATA = Path(__file__).parent / "data"
SHARED = Path(os.environ.get("BIOMEDPARSE_SHARED", ROOT.parent / "shared"))


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory, monkeypatch):
    """Settings and models of one's own are kept in folders of the test."""
    folder = tmp_path_factory.mktemp("user")
    monkeypatch.setenv("NAPARI_BIOMEDPARSE_CONFIG", str(folder / "settings"))
    monkeypatch.setenv("NAPARI_BIOMEDPARSE_MODELS", str(folder / "own models"))


@pytest.fixture(scope="session")
def predictor():
    """The embedded model on the CPU."""
    from napari_biomedparse import Predictor

    return Predictor.from_pretrained("mini", device="cpu")


@pytest.fixture(scope="session")
def fluorescence():
    """A real fluorescence image: pixels, mask of its nuclei, label image of its nuclei."""
    return _example("DSB2018-Fluorescence")


@pytest.fixture(scope="session")
def histology():
    """A real H&E image: pixels, mask of its nuclei, label image of its nuclei."""
    return _example("DSB2018-HE")


def _example(dataset: str):
    from skimage.io import imread

    from napari_biomedparse.training.dataset import read_split

    (example,) = read_split(DATA / dataset, "test")
    instances = imread(DATA / dataset / "test_instances" / example.masks["nucleus"].name)
    return example.read_image(), example.read_mask("nucleus"), instances


@pytest.fixture
def shared():
    """The folder of shared data; the test is skipped where there is none."""
    if not (SHARED / "data" / "pack").is_dir():
        pytest.skip(f"needs the shared data sets, which are not at {SHARED}")
    return SHARED


@pytest.fixture
def tiny_config():
    """A network small enough to train for a few steps in a test."""
    from napari_biomedparse.model.config import (
        ImageEncoderConfig,
        MaskDecoderConfig,
        ModelConfig,
        PixelDecoderConfig,
        TextEncoderConfig,
    )

    return ModelConfig(
        name="tiny",
        input_size=64,
        dim=32,
        image_encoder=ImageEncoderConfig(width=8, depths=(1, 1, 1, 1), focal_levels=2, layer_scale=0.3, drop_path=0.1),
        pixel_decoder=PixelDecoderConfig(layers=1, heads=2, feedforward=64),
        text_encoder=TextEncoderConfig(width=32, token_width=8, heads=2, layers=2),
        mask_decoder=MaskDecoderConfig(queries=5, layers=3, heads=2, feedforward=64),
    )


@pytest.fixture
def tiny_model(tiny_config):
    """A tiny network with reproducible random weights."""
    from napari_biomedparse.model.biomedparse import BiomedParse

    torch.manual_seed(0)
    return BiomedParse(tiny_config).eval()


@pytest.fixture
def rng():
    """A seeded random generator."""
    return np.random.default_rng(7)
