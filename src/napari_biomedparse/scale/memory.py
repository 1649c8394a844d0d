"""What a worker takes, known before anything is begun."""

from __future__ import annotations

import math
from pathlib import Path

from safetensors import safe_open

# Measured: the interpreter, torch, and what the network holds while it looks at a batch of tiles.
PROGRAM_BYTES = 1 << 30


def bytes_per_worker(weights: Path, block_bytes: int) -> int:
    """Return how many bytes a worker takes at most, whatever the size of the images.

    Parameters
    ----------
    weights
        The model's file; in memory its values are 32-bit.
    block_bytes
        What the pixels of a block may take.
    """
    return PROGRAM_BYTES + _weights_bytes(weights) + block_bytes


def _weights_bytes(path: Path) -> int:
    if path.suffix != ".safetensors":
        return path.stat().st_size
    with safe_open(path, framework="numpy") as file:
        shapes: list[list[int]] = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    return 4 * sum(map(math.prod, shapes))
