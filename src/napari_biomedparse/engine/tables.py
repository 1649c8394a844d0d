"""Which table for recognition belongs to which weights."""

from __future__ import annotations

from pathlib import Path

from napari_biomedparse.ontology import RecognitionTable
from napari_biomedparse.weights import locate

PUBLISHED = "biomedparse-v1"


def table_path(weights: Path) -> Path:
    """Return where a model's own table lies: beside its weights."""
    return weights.with_suffix(".recognition.json")


def table_of(weights: Path, network: str) -> RecognitionTable | None:
    """Return the table beside the weights, or the published one for the published network."""
    beside = table_path(weights)
    if beside.is_file():
        return RecognitionTable.read(beside)
    return RecognitionTable.published() if network == PUBLISHED else None


def known_modalities(model: str) -> tuple[str, ...]:
    """Return the modalities that a model has lists of objects for, without loading it.

    Parameters
    ----------
    model
        A model's name or file; the published one's list is known also before its weights are here.
    """
    if model == PUBLISHED:
        return tuple(RecognitionTable.published().lists)
    table = table_of(Path(locate(model)), "")
    return tuple(table.lists) if table else ()
