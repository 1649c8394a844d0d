"""A run's state on disk, from which it goes on to the same numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from napari_biomedparse.files.replacing import clear_beside, reason, replacing
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
        """Write the state; the file is replaced only once the new one is complete.

        Raises
        ------
        CheckpointError
            If it cannot be written, as when the disk is full; what was saved before stays.
        """
        parts = {name: getattr(self, name).state_dict() for name in ("model", "average", "optimiser", "scaler")}
        numbers = {name: getattr(self, name) for name in ("step", "seconds", "sums", "summed")}
        clear_beside(path)
        try:
            with replacing(path) as partial:
                torch.save(parts | numbers, partial)
        except (OSError, RuntimeError) as error:
            # Of a full disk torch's writer tells no more than its own line of code.
            if isinstance(error, RuntimeError) and "inline_container" not in str(error):
                raise
            why = reason(error) if isinstance(error, OSError) else "the disk may be full"
            raise CheckpointError(
                f"{path} cannot be written ({why}); make room and run this again, which goes on from what was "
                "saved last."
            ) from error

    def load(self, path: Path) -> None:
        """Go on from a state that was saved, if there is one.

        Raises
        ------
        CheckpointError
            If the file is broken, or of another network or of other settings that decide what is trained how.
        """
        if not path.exists():
            return
        try:
            saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            self.model.load_state_dict(saved["model"])
            self.average.load_state_dict(saved["average"])
            self._load_optimiser(saved["optimiser"])
            if saved.get("scaler"):
                self.scaler.load_state_dict(saved["scaler"])
            self.step = int(saved["step"])
            self.seconds = float(saved.get("seconds", 0.0))
            self.sums, self.summed = dict(saved.get("sums", {})), int(saved.get("summed", 0))
        except (RuntimeError, TypeError, ValueError, KeyError, EOFError, UnpicklingError) as error:
            raise CheckpointError(
                f"The run cannot go on from {path}: it is broken, or of another network, frozen parts, adapters or "
                "encoder_rate. Delete it and the weights beside it to begin again, or train into another folder."
            ) from error

    def _load_optimiser(self, saved: dict[str, Any]) -> None:
        """Load the moments; rates and decay stay those of the configuration, which may have been changed on purpose."""
        groups = self.optimiser.param_groups
        settings = [{name: value for name, value in group.items() if name != "params"} for group in groups]
        self.optimiser.load_state_dict(saved)
        for group, own in zip(self.optimiser.param_groups, settings, strict=True):
            group.update(own)
