"""The level of a pyramid suits the model that is asked, of which no weights are read."""

import json
import subprocess
import sys

import pytest
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from napari_biomedparse.engine.level import level_for
from napari_biomedparse.model.checkpoint import save_model
from napari_biomedparse.model.config import PRESETS
from napari_biomedparse.weights import locate
from napari_biomedparse.weights.header import config_of
from napari_biomedparse.weights.own_models import own_model_path
from tests.published import published_state

HALVED = [(8192 >> n, 4096 >> n) for n in range(9)]


@pytest.fixture
def small(tiny_model):
    """A model of one's own, with an input of 64 pixels."""
    save_model(tiny_model, own_model_path("small"))
    return "small"


@pytest.mark.parametrize(("model", "level"), [("mini", 5), ("biomedparse-v1", 3)])
def test_organs_are_looked_for_where_they_fill_the_input_of_the_model(model, level):
    assert max(HALVED[level]) == PRESETS[model].input_size
    assert level_for(HALVED, ["liver"], model) == level
    assert level_for(HALVED, ["liver"], model, 0.25) == level


def test_a_model_of_ones_own_has_the_input_that_its_file_tells(small):
    assert config_of(small).input_size == 64
    assert level_for(HALVED, ["liver"], small) == 7
    assert level_for(HALVED, ["liver"], str(own_model_path(small))) == 7


def test_a_part_fills_the_input_by_itself():
    assert [level_for(HALVED, ["liver"], "mini", share=share) for share in (1, 0.5, 0.3, 0.25, 1e-6)] == [5, 4, 3, 3, 0]


def test_cells_do_not_depend_on_the_input():
    for model in PRESETS:
        assert level_for(HALVED, ["nuclei"], model, 0.25) == level_for(HALVED, [], model, 0.25) == 1
        assert level_for(HALVED, ["nuclei", "liver"], model, share=0.1) == 0


def test_the_packaged_file_tells_what_is_known_of_its_name():
    assert config_of(locate("mini")) == config_of("mini") == PRESETS["mini"]


def test_files_without_a_configuration_count_as_the_published_model(tmp_path):
    save_tensors(published_state(), tmp_path / "published.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"PK\x03\x04 no weights")
    for number, text in enumerate(("{", json.dumps({"name": "x"}), "[]")):
        save_file({}, tmp_path / f"{number}.safetensors", metadata={"napari_biomedparse.config": text})
    names = ["published", "broken", "missing", "0", "1", "2"]
    for model in ("nobody's", *(str(tmp_path / f"{name}.safetensors") for name in names)):
        assert config_of(model) == PRESETS["biomedparse-v1"], model


def test_it_is_known_without_torch():
    code = (
        "import sys; from napari_biomedparse.engine.level import level_for; "
        "from napari_biomedparse.weights import locate; "
        "print(level_for([(512, 512), (256, 256)], ['liver'], str(locate('mini'))), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1 False\n"
