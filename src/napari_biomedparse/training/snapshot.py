"""A run's state on disk, from which it goes on to the same numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.checkpoint import CheckpointError


@dataclass
class State:
    """Everything that changes during a run.

    Attributes
    ----------
    model, average
        The network, and the average of its weights.
    optimiser, scaler
        The optimiser, and what scales the gradients in float16.
    step
        Steps done.
    seconds
        Time they took.
    sums, summed
        Losses since the last logged step: their sums, over so many steps.
    """

    model: BiomedParse
    average: BiomedParse
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    step: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    summed: int = 0

    def save(self, path: Path) -> None:
        """Write the state; the file is replaced only once the new one is complete."""
        parts = {name: getattr(self, name).state_dict() for name in ("model", "average", "optimiser", "scaler")}
        numbers = {name: getattr(self, name) for name in ("step", "seconds", "sums", "summed")}
        partial = path.with_suffix(".partial")
        torch.save(parts | numbers, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a state that was saved, if there is one.

        Raises
        ------
        CheckpointError
            If the file is broken, or of another network or other frozen parts or adapters.
        """
        if not path.exists():
            return
        try:
            saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            self.model.load_state_dict(saved["model"])
            self.average.load_state_dict(saved["average"])
            self.optimiser.load_state_dict(saved["optimiser"])
        except (RuntimeError, ValueError, KeyError, EOFError, UnpicklingError) as error:
            raise CheckpointError(
                f"The run cannot go on from {path}: it is broken, or of another network, frozen parts or adapters. "
                f"Delete it to begin again, or train into another folder."
            ) from error
        if saved.get("scaler"):
            self.scaler.load_state_dict(saved["scaler"])
        self.step = int(saved["step"])
        self.seconds = float(saved.get("seconds", 0.0))
        self.sums, self.summed = dict(saved.get("sums", {})), int(saved.get("summed", 0))
