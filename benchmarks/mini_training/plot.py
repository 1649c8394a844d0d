"""Draw the losses of all stages: python benchmarks/mini_training/plot.py docs/images/learning.png"""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

HERE = Path(__file__).parent
# Logged values (of 20 steps each) that are averaged for the eye.
WINDOW = 15
COLUMNS = 6


def main(output: Path) -> None:
    """Write the picture."""
    stages = sorted(HERE.glob("stage-*.csv"), key=lambda path: int(path.stem.partition("-")[2]))
    lines = math.ceil(len(stages) / COLUMNS)
    figure, axes = plt.subplots(
        lines, COLUMNS, figsize=(10, 2.5 * lines), sharey=True, squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(stages) :]:
        axis.remove()
    for axis, path in zip(axes.flat, stages, strict=False):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        steps = [int(row["step"]) for row in rows]
        for name in ("dice", "mask", "text", "core"):
            if name in rows[0] and any(float(row[name]) for row in rows):
                values = [float(row[name]) for row in rows]
                smooth = [np.mean(values[max(0, n - WINDOW) : n + 1]) for n in range(len(values))]
                (line,) = axis.plot(steps, smooth, label=name)
                axis.plot(steps, values, color=line.get_color(), alpha=0.2, linewidth=0.6)
        axis.set(title=path.stem, xlabel="step", ylim=(0, 5), xticks=range(0, steps[-1], _tick(steps[-1])))
    figure.supylabel("weighted loss, summed over heads", fontsize="medium")
    names = axes.flat[len(stages) - 1].get_legend_handles_labels()
    figure.legend(*names, loc="outside right center", frameon=False)
    figure.savefig(output, dpi=110)


def _tick(steps: int) -> int:
    """Return the distance of ticks at which their numbers do not touch."""
    return 1000 if steps < 2500 else 2500 if steps < 5000 else 5000


if __name__ == "__main__":
    main(Path(sys.argv[1]))
