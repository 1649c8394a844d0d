"""Weights read with every check that there is, before they are called good, copied or converted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from napari_biomedparse.weights.checksum import Checked, check_published

if TYPE_CHECKING:
    from napari_biomedparse.model.checkpoint import Checkpoint


class Whole(NamedTuple):
    """What a file holds, and its checksum."""

    checkpoint: Checkpoint
    checked: Checked


def read_whole(path: Path) -> Whole:
    """Read a file of weights, and compare all its bytes with the checksums that are known.

    These are the published one of a file in the hub's cache, and those that torch's format has of each tensor. In
    weights that this program wrote there are none: of them damage is seen only where it made a value not finite.

    Raises
    ------
    CheckpointError
        If it is missing, damaged, has values that are not finite, or does not fit its network.
    """
    from napari_biomedparse.model.checkpoint import read_checkpoint
    from napari_biomedparse.model.damage import check_entries, check_finite

    checked = check_published(path)
    checkpoint = read_checkpoint(path)
    check_entries(path)
    check_finite(path, checkpoint.tensors)
    return Whole(checkpoint, checked)
