"""From names and paths to files."""

import pytest

from napari_biomedparse import CheckpointError, Predictor
from napari_biomedparse.weights import locate


def test_the_embedded_model_is_in_the_package():
    assert locate("mini").is_file()


def test_unknown_names_and_missing_files_are_named():
    with pytest.raises(CheckpointError, match=r"no model called 'huge'.*mini"):
        locate("huge")
    with pytest.raises(CheckpointError, match="no model weights at"):
        Predictor.from_pretrained("nowhere/model.safetensors")
