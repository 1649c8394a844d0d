"""Which table for recognition belongs to which weights."""

import pytest

from napari_biomedparse import CheckpointError
from napari_biomedparse.engine.tables import PUBLISHED, known_modalities, table_of, table_path
from napari_biomedparse.ontology import ModalityError, RecognitionTable

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


def test_modalities_are_known_without_loading_a_model(predictor, tmp_path):
    assert known_modalities("mini") == tuple(predictor.table.lists) != ()
    # The published weights need not be here.
    assert "CT-Abdomen" in known_modalities(PUBLISHED)
    (tmp_path / "mine.safetensors").write_bytes(b"")
    assert known_modalities(str(tmp_path / "mine.safetensors")) == ()
    OWN.write(table_path(tmp_path / "mine.safetensors"))
    assert known_modalities(str(tmp_path / "mine.safetensors")) == ("Moon",)
    with pytest.raises(CheckpointError, match="no model called"):
        known_modalities("nonsense")
