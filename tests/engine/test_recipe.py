"""All that a result depends on, kept as text and done again."""

import json
import shlex
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from napari_biomedparse import Recipe, __version__, follow
from napari_biomedparse.engine.channels import Channel
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.recipe import RecipeError
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.io.read import read_array

FULL = Recipe(
    Selection(
        "TCZYX",
        rows="Z",
        columns="X",
        at={"T": 2, "Y": None},
        level=1,
        region=(-1, 2, 30, 40),
        outlines=(((0.5, 1.25), (7.0, 1.0), (3.0, 9.0)),),
        channels=(Channel(1, (0.1, 1e5), (1, 0, 0.5), 0.7), Channel(0, None)),
    ),
    prompts=("nuclei", 'the "largest" one', "Zellkern µ"),
    modality="Fluorescence Microscopy-Cell",
    model="C:\\models\\mine.safetensors",
    weights="ab12",
    paint=Paint(0.35, {"nuclei": 0.105}, 0.05, "last", instances=True, split="apart", min_area=0, fill_holes=False),
    link=True,
    source="/data/my scan.tif",
    diameter=33.5,
    version="0.0.9",
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@pytest.mark.parametrize("recipe", [FULL, Recipe(Selection("YX")), Recipe(Selection("ZYX", rgb=True), ("liver",))])
def test_a_recipe_survives_its_text(recipe):
    line = recipe.as_json()
    assert "\n" not in line
    assert isinstance(json.loads(line), dict)
    assert Recipe.from_json(line) == recipe


@given(
    st.lists(text, max_size=3), text, st.floats(0, 1), st.dictionaries(text, st.floats(0, 1), max_size=2), st.booleans()
)
def test_any_words_and_numbers_survive(prompts, source, threshold, thresholds, link):
    paint = Paint(threshold, thresholds, instances=link)
    recipe = Recipe(Selection("ZYX", at={"Z": 3}), tuple(prompts), paint=paint, link=link, source=source)
    assert Recipe.from_json(recipe.as_json()) == recipe


def test_without_prompts_everything_is_looked_for():
    assert Recipe(Selection("YX")).recognizes
    assert not FULL.recognizes
    assert Recipe(Selection("YX")).version == __version__


def changed(**changes):
    return json.dumps(json.loads(FULL.as_json()) | changes)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "JSON"),
        ("nonsense", "JSON"),
        ("[1]", "it: "),
        ("null", "it: "),
        ("{}", "selection: "),
        (FULL.as_json()[:-9], "JSON"),
        (changed(selection={"axes": "ZZ"}), "selection: .*Z occurs twice"),
        (changed(selection={"axes": "ZYX", "rows": "C"}), "selection: .*two of the image's axes"),
        (changed(selection={"axes": "CYX", "channels": [{"index": -1, "window": None}]}), "no channel -1"),
        (changed(selection={"axes": "YX", "region": [1, 2]}), r"selection\.region"),
        (changed(paint={"threshold": 7}), "paint: .*threshold must be between 0 and 1"),
        (changed(paint={"rule": "loudest"}), r"paint\.rule: "),
        (changed(prompts="nuclei"), "prompts: "),
        (changed(link="perhaps"), "link: "),
    ],
)
def test_what_is_no_recipe_is_refused_with_the_place_and_the_reason(text, sentence):
    with pytest.raises(RecipeError, match=rf"This is no recipe of napari-biomedparse: .*{sentence}"):
        Recipe.from_json(text)


AWKWARD = ("Crohn's", '"""', "\\N{", "a\nb", "end\\", "µ {prompt}")


@pytest.mark.parametrize(
    "recipe", [FULL, Recipe(Selection("YX")), Recipe(Selection("YX"), AWKWARD, source='a"\\x.tif')]
)
def test_the_script_holds_the_recipe_and_the_file_whatever_they_are_called(recipe, monkeypatch):
    asked = {}
    monkeypatch.setattr("napari_biomedparse.follow", lambda recipe, image: asked.update(recipe=recipe), raising=False)
    monkeypatch.setattr("napari_biomedparse.io.read.read_array", lambda *place, **rgb: asked.update(place=place, **rgb))
    monkeypatch.setattr(tifffile, "imwrite", lambda *what: None)
    exec(compile(recipe.script(), "script", "exec"), {})
    assert asked["recipe"] == recipe
    assert asked["place"] == (recipe.source or "IMAGE", recipe.selection.axes)
    assert asked["rgb"] == recipe.selection.rgb


@pytest.mark.parametrize("recipe", [FULL, Recipe(Selection("YX"), AWKWARD, source="it's here.tif")])
def test_the_command_holds_the_recipe_and_the_file_whatever_they_are_called(recipe):
    program, replay, path, option, kept, *_ = shlex.split(recipe.command())
    assert (program, replay, option) == ("napari-biomedparse", "replay", "--recipe")
    assert path == recipe.source
    assert Recipe.from_json(kept) == recipe


def test_the_script_gives_the_labels_bit_for_bit(fluorescence, predictor, tmp_path):
    pixels = fluorescence[0][:80, 64:160]
    path = tmp_path / "two planes.ome.tif"
    tifffile.imwrite(path, np.stack([pixels, pixels[::-1]]), metadata={"axes": "ZYX"})
    selection = Selection("ZYX", region=(8, 4, 80, 90), channels=(Channel(0, None, gamma=0.9),))
    paint = Paint(0.45, {"cytoplasm": 0.3}, instances=True)
    recipe = Recipe(selection, ("nuclei", "cytoplasm"), paint=paint, link=True, source=str(path))
    (tmp_path / "again.py").write_text(recipe.script(), encoding="utf-8")
    done = subprocess.run([sys.executable, "again.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    labels = tifffile.imread(tmp_path / "labels.tif")
    expected = follow(recipe, read_array(path, "ZYX"), predictor)
    assert labels.dtype == expected.dtype == np.int32
    assert expected.any()
    assert (labels == expected).all()
