"""Short runs, and what they leave behind."""

from pathlib import Path

import pytest
import torch

from napari_biomedparse.model.checkpoint import load_model
from napari_biomedparse.training.config import TrainConfig
from napari_biomedparse.training.loop import train
from napari_biomedparse.training.losses import LossConfig


def small_run(steps: int, **changes) -> TrainConfig:
    """A run of a few steps of four images on the CPU, which saves and logs often."""
    values = {"batch": 4, "rate": 3e-3, "warmup": 5, "save_every": 4, "average": 0.95, "losses": LossConfig(points=128)}
    return TrainConfig(steps=steps, device="cpu", **{**values, **changes})


def assert_same_weights(one: Path, other: Path) -> None:
    pairs = zip(load_model(one).state_dict().items(), load_model(other).state_dict().values(), strict=True)
    for (name, a), b in pairs:
        assert torch.equal(a, b), name


def train_in_two_goes(cut: int, data, network, config: TrainConfig, out: Path, init: Path | None = None) -> Path:
    """Train, cut the run off once a step has been logged, and resume it."""

    def stop(progress) -> None:
        if progress.step == cut:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(data, network, config, out, init, stop)
    assert not (out / "model.safetensors").exists()
    return train(data, network, config, out, init)
