"""Which table for recognition belongs to which weights."""

import pytest

from napari_biomedparse import CheckpointError
from napari_biomedparse.engine.tables import PUBLISHED, known_table, table_of, table_path
from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.checkpoint import save_model
from napari_biomedparse.ontology import ModalityError, RecognitionTable
from tests.published import TINY

OWN = RecognitionTable({"Moon": ("crater",)})


def test_a_table_beside_the_weights_comes_first(tmp_path):
    weights = tmp_path / "mine.safetensors"
    assert table_of(weights, "mini") is None
    assert table_of(weights, PUBLISHED) == RecognitionTable.published()
    OWN.write(table_path(weights))
    assert table_path(weights).parent == tmp_path
    assert table_of(weights, "mini") == OWN
    assert table_of(weights, PUBLISHED) == OWN
    table_path(weights).write_text("{}")
    with pytest.raises(ModalityError, match="not a readable table"):
        table_of(weights, "mini")


def test_tables_are_known_without_loading_a_model(predictor, tiny_model, tmp_path):
    assert known_table("mini") == predictor.table
    # The published weights need not be here.
    assert known_table(PUBLISHED) == RecognitionTable.published()
    mine = tmp_path / "mine.safetensors"
    save_model(tiny_model, mine)
    assert known_table(str(mine)) == RecognitionTable()
    OWN.write(table_path(mine))
    assert known_table(str(mine)) == OWN
    with pytest.raises(CheckpointError, match="no model called"):
        known_table("nonsense")


def test_a_copy_of_the_published_model_has_its_table(tmp_path):
    """A fine-tuned one, too, which has no table of its own."""
    save_model(BiomedParse(TINY), tmp_path / "tuned.safetensors")
    assert known_table(str(tmp_path / "tuned.safetensors")) == RecognitionTable.published()
