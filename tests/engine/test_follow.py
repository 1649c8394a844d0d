"""Recipes: kept, read, and followed to the same labels, with the embedded model."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from napari_biomedparse import Recipe, compose_labels, follow
from napari_biomedparse.engine.axes import AxesError
from napari_biomedparse.engine.channels import Channel
from napari_biomedparse.engine.follow import Findings, Progress, Seen, labels_of, look
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.preprocess import ImageError
from napari_biomedparse.engine.recipe import RecipeError
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.engine.session import Session, shared_session
from napari_biomedparse.engine.stack import Stack
from napari_biomedparse.io.read import ReadError, read_array


@pytest.fixture
def small(fluorescence):
    return np.ascontiguousarray(fluorescence[0][:128, :160])


def test_one_plane_gets_what_the_predictor_and_compose_labels_give(small, predictor):
    masks = predictor.segment(small, ["nuclei"])
    assert (follow(Recipe(Selection("YX"), ("nuclei",)), small, predictor) == compose_labels(masks).values).all()
    found = labels_of(Recipe(Selection("YX"), ("nuclei", "cytoplasm")), small, predictor)
    assert found.names == {1: "nuclei", 2: "cytoplasm"}


def test_planes_are_numbered_on_or_linked(small, predictor):
    stack = np.stack([small, small, small[::-1]])
    apart = Recipe(Selection("ZYX"), ("nuclei",), paint=Paint(instances=True))
    values = follow(apart, stack, predictor)
    counts = [len(np.unique(plane[plane > 0])) for plane in values]
    assert values.max() == sum(counts)
    linked = follow(Recipe(Selection("ZYX"), ("nuclei",), paint=Paint(instances=True), link=True), stack, predictor)
    assert (linked[0] == linked[1]).all()
    assert counts[0] < linked.max() < sum(counts)
    assert ((values > 0) == (linked > 0)).all()


def test_everything_is_recognised_where_nothing_is_named(small, predictor):
    found = labels_of(Recipe(Selection("YX"), paint=Paint(presence=0.05)), small, predictor)
    assert set(found.names.values()) == set(predictor.table.lists["Fluorescence Microscopy-Cell"])
    assert found.values.any()


def test_looking_goes_in_the_order_asked_and_can_be_left(small, predictor):
    recipe = Recipe(Selection("ZYX"), ("nuclei",))
    stack = Stack((np.stack([small] * 3),), recipe.selection)
    events = look(predictor, stack, recipe, [(2,), (0,)])
    assert isinstance(next(events), Progress)
    places = [event.place for event in events if isinstance(event, Seen)]
    assert places == [(2,), (0,)]
    left = look(predictor, stack, recipe, [(1,)])
    next(left)
    left.close()
    findings = Findings(stack, False)
    with pytest.raises(KeyError):
        findings.paint((1,), Paint())


@pytest.mark.parametrize(
    ("image", "error", "sentence"),
    [
        (np.zeros((5, 40, 40), np.uint8), ImageError, "does not fit the axes YX"),
        (np.full((40, 40), np.nan, np.float32), ImageError, "NaN"),
    ],
)
def test_another_kind_of_image_is_refused(predictor, image, error, sentence):
    with pytest.raises(error, match=sentence):
        follow(Recipe(Selection("YX"), ("nuclei",)), image, predictor)


def test_a_recipe_comes_back_from_its_text():
    recipe = Recipe(
        Selection("TCZYX", at={"T": 1, "Z": None}, region=(1, 2, 30, 40), channels=(Channel(1, (0.0, 9.5)),)),
        ("nuclei", "cytoplasm"),
        modality="pathology",
        weights="ab" * 32,
        paint=Paint(0.4, {"nuclei": 0.6}, 0.1, "first", True, "apart", 7, False),
        link=True,
        source="/data/it's here.tif",
    )
    assert Recipe.from_json(recipe.as_json()) == recipe


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"selection": {"axes": "QYX"}}', '{"selection": {"axes": "YX"}, "paint": {"threshold": 4}}'],
)
def test_text_that_is_no_recipe_is_refused(text):
    with pytest.raises(RecipeError, match="no recipe of napari-biomedparse"):
        Recipe.from_json(text)


def test_the_script_gives_the_same_labels_in_a_process_of_its_own(small, predictor, tmp_path):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, small)
    recipe = Recipe(Selection("YX"), ("nuclei",), paint=Paint(threshold=0.6, instances=True), source=str(path))
    script = tmp_path / "again.py"
    script.write_text(recipe.script(), encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tifffile.imread(tmp_path / "labels.tif") == follow(recipe, small, predictor)).all()


def test_a_whole_file_is_read_with_the_axes_asked_for(tmp_path, rng):
    data = rng.integers(0, 255, (2, 3, 20, 30), dtype=np.uint8)
    path = tmp_path / "stack.ome.tif"
    tifffile.imwrite(path, data, metadata={"axes": "CZYX"}, ome=True)
    array = read_array(path, "CZYX")
    assert (array.compute() == data).all()
    assert (read_array(path, "ZCYX").compute() == data.swapaxes(0, 1)).all()
    with pytest.raises(ReadError, match="not ZYX"):
        read_array(path, "ZYX")
    with pytest.raises(ReadError, match="no file"):
        read_array(tmp_path / "missing.tif", "YX")


def test_a_process_has_one_session_which_changes_its_model_when_told(small):
    assert shared_session() is shared_session()
    session = Session()
    assert session.weights == session.running_on == ""
    recipe = Recipe(Selection("YX"), ("nuclei",))
    stack = Stack((small,), recipe.selection)
    assert [event.place for event in session.look(stack, recipe, [()]) if isinstance(event, Seen)] == [()]
    assert len(session.weights) == 64
    assert session.running_on == "cpu"
    first = session._predictor
    list(session.look(stack, recipe, [()]))
    assert session._predictor is first
    session.use("mini", "cpu")
    list(session.look(stack, recipe, [()]))
    assert session._predictor is not first, "another device was asked for"


def test_axes_that_are_none_are_refused():
    with pytest.raises(AxesError):
        Selection("XX")
