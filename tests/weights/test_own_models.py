"""Models of the user's own: named, listed, found."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from napari_biomedparse import CheckpointError, Predictor
from napari_biomedparse.cli import app
from napari_biomedparse.model.checkpoint import load_model, save_model
from napari_biomedparse.weights import locate
from napari_biomedparse.weights.own_models import check_name, model_choices, own_model_path, own_models
from tests.weights.hub import isolate


@pytest.fixture(autouse=True)
def no_hub(monkeypatch, tmp_path):
    isolate(monkeypatch, tmp_path, "http://127.0.0.1:9")


@pytest.fixture
def mine():
    """A model called "my nuclei"."""
    path = own_model_path("my nuclei")
    path.parent.mkdir(parents=True)
    shutil.copyfile(locate("mini"), path)
    return path


def test_an_own_model_is_found_by_its_name(mine):
    assert own_models() == ["my nuclei"]
    assert locate("my nuclei") == mine
    assert Predictor.from_pretrained("my nuclei", "cpu").model.config.name == "mini"
    with pytest.raises(CheckpointError, match="mini, biomedparse-v1, my nuclei or the path"):
        locate("nobody's")


def test_all_models_are_listed_with_what_is_ready(mine):
    choices = {choice.name: choice for choice in model_choices()}
    assert list(choices) == ["mini", "biomedparse-v1", "my nuclei"]
    assert [choice.ready for choice in choices.values()] == [True, False, True]
    assert choices["my nuclei"].where == "own models"
    assert "not downloaded" in choices["biomedparse-v1"].title


def test_an_imported_preset_is_ready_and_not_an_own_model(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "biomedparse-v1.safetensors").touch()
    assert own_models() == []
    assert next(choice for choice in model_choices() if choice.name == "biomedparse-v1").ready


def test_a_name_that_files_and_lists_can_have_is_taken():
    for name in ("my nuclei", "Zellkerne-2_neu", "核"):
        check_name(name)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "needs a name"),
        ("   ", "needs a name"),
        ("a/b", "use letters"),
        ("..", "use letters"),
        ("model.pt", "use letters"),
        (" mine", "use letters"),
        ("x" * 61, "too long"),
        ("mini", "already"),
        ("Mini", "already"),
        ("biomedparse-v1", "already"),
        ("MY NUCLEI", "already"),
    ],
)
def test_other_names_are_refused_with_what_to_do(mine, name, sentence):
    with pytest.raises(CheckpointError, match=sentence):
        check_name(name)


def test_the_command_lists_them_with_the_licence_of_what_they_come_from(mine, tiny_model):
    save_model(tiny_model, own_model_path("of no preset"))
    own_model_path("broken").write_text("no weights")
    done = CliRunner().invoke(app, ["models", "list", "--json"])
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert list(rows) == ["mini", "biomedparse-v1", "broken", "my nuclei", "of no preset"]
    assert rows["my nuclei"]["licence"] == rows["mini"]["licence"]
    assert rows["my nuclei"]["where"] == "own models"
    assert rows["my nuclei"]["size"] == mine.stat().st_size
    assert rows["of no preset"]["licence"] == rows["broken"]["licence"] == ""
    assert load_model(own_model_path("of no preset")).config.name == "tiny"
