"""Which model answers: the one of the recipe, and no other of its name."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_biomedparse import CheckpointError
from napari_biomedparse.model.checkpoint import load_model, save_model
from napari_biomedparse.scale import job as on_worker
from napari_biomedparse.scale.inputs import jobs_of, with_weights
from napari_biomedparse.scale.job import forget
from napari_biomedparse.scale.study import Here, StudyError, run
from napari_biomedparse.weights import locate
from napari_biomedparse.weights.files import sha256_of
from tests.scale.runs import job_of, recipe_of, write_tiff


@pytest.fixture
def cells(tmp_path, stack):
    """Two small images."""
    return [write_tiff(tmp_path / f"{name}.ome.tif", stack[0][:64, :64]) for name in "ab"]


@pytest.fixture
def mine(tmp_path):
    """A file of weights that is replaced by another model's later."""
    forget()
    path = tmp_path / "mine.safetensors"
    shutil.copyfile(locate("mini"), path)
    yield path
    forget()


def train(path):
    """Put other weights in the place of a file's."""
    model = load_model(path)
    with torch.no_grad():
        next(model.parameters()).add_(1)
    save_model(model, path)


@pytest.fixture
def hashed(monkeypatch):
    """The files that were read for their SHA-256."""
    read = []

    def counted(path):
        read.append(path)
        return sha256_of(path)

    monkeypatch.setattr(on_worker, "sha256_of", counted)
    return read


def test_a_worker_refuses_another_model_of_the_same_name_and_reads_it_once(tmp_path, cells, mine, hashed):
    asked = with_weights(recipe_of(model=str(mine)))
    train(mine)
    hashed.clear()
    jobs, _ = jobs_of(cells, asked, tmp_path / "out", "cpu")
    outcomes = run(jobs, Here())
    assert len(outcomes) == 2
    for outcome in outcomes:
        assert isinstance(outcome.error, CheckpointError)
        assert f"{mine} is not the model that the run began with" in str(outcome.error)
    assert not list((tmp_path / "out").glob("*.ome.zarr"))
    assert hashed == [mine]
    with pytest.raises(StudyError, match="not the model of the recipe"):
        with_weights(asked)


def test_a_worker_that_lives_on_takes_the_model_of_each_recipe(tmp_path, cells, mine, hashed):
    first = with_weights(recipe_of(model=str(mine)))
    before = job_of(cells[0], first, tmp_path / "out").predictor
    assert job_of(cells[1], first, tmp_path / "out").predictor is before
    train(mine)
    second = with_weights(recipe_of(model=str(mine)))
    assert second.weights != first.weights
    after = job_of(cells[0], second, tmp_path / "other").predictor
    one, other = (next(predictor.model.parameters()).numpy() for predictor in (before, after))
    assert np.allclose(other - one, 1, atol=1e-2)
    assert hashed == [mine, mine]


def test_a_recipe_that_names_no_weights_takes_what_is_there(tmp_path, cells, mine):
    asked = recipe_of(model=str(mine))
    assert job_of(cells[0], asked, tmp_path / "out").predictor is not None
    wrong = replace(asked, weights="0" * 64)
    with pytest.raises(CheckpointError, match="Copy the same file to every machine"):
        _ = job_of(cells[0], wrong, tmp_path / "out").predictor
