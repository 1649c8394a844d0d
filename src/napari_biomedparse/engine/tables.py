"""Which table for recognition belongs to which weights."""

from __future__ import annotations

from pathlib import Path

from napari_biomedparse.ontology import RecognitionTable
from napari_biomedparse.weights import locate
from napari_biomedparse.weights.header import config_of

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


def known_table(model: str) -> RecognitionTable:
    """Return a model's table without loading its weights; an empty one where it has none.

    Parameters
    ----------
    model
        A model's name or file; that of the published one is known also before its weights are here.

    Raises
    ------
    CheckpointError
        If there is no such model.
    ModalityError
        If its table cannot be read.
    """
    if model == PUBLISHED:
        return RecognitionTable.published()
    return table_of(Path(locate(model)), config_of(model).name) or RecognitionTable()
