"""What a run tells: tables as CSV, curves for TensorBoard; both go on where a checkpoint was left."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_biomedparse.training.config import ConfigError


@dataclass(frozen=True)
class Progress:
    """One logged step.

    Attributes
    ----------
    step, steps
        Steps done, and in all.
    losses
        Mean of each loss since the last logged step.
    seconds
        Time of training so far.
    rate
        Learning rate of the step.
    dice
        Data set -> mean Dice on its images that were kept back, if the step was validated.
    """

    step: int
    steps: int
    losses: dict[str, float]
    seconds: float
    rate: float = 0.0
    dice: dict[str, float] = field(default_factory=dict)


class Log:
    """Write ``log.csv``, ``validation.csv`` and, if wanted, TensorBoard's files.

    Parameters
    ----------
    folder
        Where they are.
    start
        Step that the run goes on from; what was logged after it is dropped, because it will come again.
    tensorboard
        Whether to write TensorBoard's files, into ``folder/tensorboard``.

    Raises
    ------
    ConfigError
        If TensorBoard is wanted and not installed.
    """

    def __init__(self, folder: Path, start: int, tensorboard: bool) -> None:
        self._losses, self._dice = folder / "log.csv", folder / "validation.csv"
        for path in (self._losses, self._dice):
            _keep(path, start)
        self._board = _open_board(folder / "tensorboard", start) if tensorboard else None

    def write(self, progress: Progress) -> None:
        """Add a logged step."""
        losses = {name: f"{value:.5f}" for name, value in progress.losses.items()}
        seconds, rate = f"{progress.seconds:.1f}", f"{progress.rate:.3g}"
        _append(self._losses, {"step": progress.step, **losses, "seconds": seconds, "rate": rate})
        for dataset, dice in progress.dice.items():
            _append(self._dice, {"step": progress.step, "dataset": dataset, "dice": f"{dice:.4f}"})
        if self._board:
            for name, value in progress.losses.items():
                self._board.add_scalar(f"loss/{name}", value, progress.step)
            self._board.add_scalar("rate", progress.rate, progress.step)
            for dataset, dice in progress.dice.items():
                self._board.add_scalar(f"dice/{dataset}", dice, progress.step)

    def close(self) -> None:
        """Write what is held back."""
        if self._board:
            self._board.close()


def _open_board(folder: Path, start: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(
            "TensorBoard is not installed: run `pip install tensorboard`, or train without it; log.csv holds the same."
        ) from error
    # Steps that come again replace those of a run that was cut off after its checkpoint, or before its first.
    return SummaryWriter(str(folder), purge_step=start + 1)


def _append(path: Path, row: Mapping[str, object]) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def _keep(path: Path, last: int) -> None:
    """Drop the rows of a table after a step."""
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = list(csv.reader(file)) or [[]]
    kept = [row for row in rows if row and int(row[0]) <= last]
    if not kept:
        path.unlink()
    elif len(kept) < len(rows):
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([head, *kept])
