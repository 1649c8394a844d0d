"""The command that runs over files, with workers of its own or a scheduler's."""

import json
import os
import re
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from napari_biomedparse import follow
from napari_biomedparse.cli import app
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.io.label_store import LabelStore
from napari_biomedparse.scale import cluster
from tests.scale.runs import recipe_of, write_tiff

RECIPE = recipe_of().as_json()


def batch(*arguments):
    return CliRunner().invoke(app, ["batch", *map(str, arguments), "--device", "cpu", "--quiet"])


@pytest.fixture
def cells(tmp_path, fluorescence):
    """Two small images."""
    pixels = fluorescence[0]
    return [
        write_tiff(tmp_path / f"{name}.ome.tif", pixels[top : top + 96, 100:200])
        for name, top in (("a", 60), ("b", 160))
    ]


def test_what_it_takes_is_said_beforehand(tmp_path, cells):
    asked = ["batch", str(cells[0]), "--prompt", "nuclei", "--device", "cpu"]
    began = CliRunner().invoke(app, [*asked, "--memory", "0.5", "--output", str(tmp_path / "out")])
    assert began.exit_code == 0, began.output
    said = re.search(r"Images: 1\. Workers: 1, each with up to ([\d.]+) GiB of memory, 0\.5 of them", began.stdout)
    # A GiB for the program, half a one for a block, and 5.7 million parameters of four bytes.
    assert said and said[1] == "1.5"
    assert "Dashboard: http" in began.stdout
    again = CliRunner().invoke(app, [*asked, "--output", str(tmp_path / "out")])
    assert "Workers" not in again.stdout


def test_another_channel_is_another_question(tmp_path, fluorescence):
    pixels = fluorescence[0][60:156, 100:200]
    colours = np.zeros((*pixels.shape, 3), np.uint8)
    colours[..., 1] = pixels
    file = write_tiff(tmp_path / "colours.tif", colours, "YXS")
    grey = write_tiff(tmp_path / "grey.tif", pixels)
    asked = ["--prompt", "nuclei", "--output", tmp_path / "out", "--c"]
    assert batch(file, *asked, 1).exit_code == 0
    assert labels_in(tmp_path / "out", "colours").any()
    refused = batch(file, *asked, 0)
    assert refused.exit_code == 2
    assert "results of another question" in refused.output
    one = batch(grey, *asked, 1)
    assert one.exit_code == 2
    assert "one channel only" in one.output


def test_a_ct_is_shown_in_the_window_of_its_site_and_an_unknown_one_noted(tmp_path, fluorescence):
    shown = fluorescence[0][60:156, 100:200]
    units = (shown / 255.0 * 400 - 150).astype(np.int16)
    units[:16], units[16:20] = -1000, 3000
    file = write_tiff(tmp_path / "scan.ome.tif", np.stack([units, units]), "ZYX")
    asked = ("--prompt", "nuclei")
    told = batch(file, *asked, "--modality", "CT-Abdomen", "--output", tmp_path / "told")
    named = batch(file, *asked, "--window", "abdomen", "--output", tmp_path / "named")
    auto = batch(file, *asked, "--output", tmp_path / "auto")
    for done in (told, named, auto):
        assert done.exit_code == 0, done.output
    assert "Note: " not in told.stderr + named.stderr
    assert f"Note: {file}: its values begin at -1000" in auto.stderr
    labels = {name: labels_in(tmp_path / name, "scan")[:, 24:] for name in ("told", "named", "auto")}
    assert labels["told"].any()
    assert (labels["told"] == labels["named"]).all()
    assert (labels["auto"] != labels["named"]).any()
    other = batch(file, *asked, "--window", "lung", "--output", tmp_path / "named")
    assert other.exit_code == 2
    assert "results of another question" in other.output
    colours = write_tiff(tmp_path / "colours.tif", np.stack([shown] * 3, axis=-1), "YXS")
    refused = batch(colours, *asked, "--window", "abdomen", "--output", tmp_path / "colours")
    assert refused.exit_code == 2
    assert "leave out --window" in refused.output


def test_what_is_not_parted_is_told_by_planes(tmp_path, fluorescence):
    pixels = fluorescence[0][60:156, 100:200]
    file = write_tiff(tmp_path / "a.ome.tif", np.stack([pixels, pixels[::-1]]), "ZYX")
    plane = write_tiff(tmp_path / "b.ome.tif", pixels)
    ended = batch(file, plane, "--prompt", "nuclei", "--output", tmp_path / "out")
    assert ended.exit_code == 0, ended.output
    assert "a.ome.tif: nuclei on 2 planes; " in ended.stdout
    assert "b.ome.tif: nuclei on 1 plane; " in ended.stdout


def labels_in(folder, name):
    store = LabelStore.open(folder / f"{name}.ome.zarr")
    assert store.finished
    return np.asarray(store.levels[0][...])


def test_two_workers_do_a_recipe_from_a_file_and_the_next_run_finds_it_done(
    tmp_path, cells, predictor, fluorescence, monkeypatch
):
    recipe = recipe_of(paint=Paint(0.4, instances=True))
    (tmp_path / "recipe.json").write_text(recipe.as_json(), encoding="utf-8")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    out = tmp_path / "out"
    options = ["--recipe", tmp_path / "recipe.json", "--output", out, "--device", "cpu", "--quiet"]
    command = [sys.executable, "-m", "napari_biomedparse", "batch", *cells, broken, *options, "--workers", 2]
    ended = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
    assert "broken.png" in ended.stderr
    assert "Mend or leave out" in ended.stderr
    assert "Traceback" not in ended.stderr
    for name, top in (("a", 60), ("b", 160)):
        expected = follow(recipe, fluorescence[0][top : top + 96, 100:200], predictor)
        assert expected.any()
        assert (labels_in(out, name) == expected).all()
        table = pyarrow.parquet.read_table(out / f"{name}.parquet").to_pydict()
        assert table["label"] == [label for label in np.unique(expected) if label]
        assert f"{name}.ome.tif: nuclei {len(table['label'])}; " in ended.stdout
    assert json.loads((out / "recipe.json").read_text(encoding="utf-8"))["paint"]["threshold"] == 0.4

    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    monkeypatch.setattr(cluster, "local_workers", None)
    again = batch(*cells, *options[:4])
    assert again.exit_code == 0, again.output
    assert again.stdout.count("finished before") == 2
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before

    os.utime(cells[1], ns=(time.time_ns() + 10**9,) * 2)
    changed = batch(*cells, *options[:4])
    assert changed.exit_code == 0
    assert "b.ome.tif was changed after that" in changed.stderr
    assert "a.ome.tif was changed" not in changed.stderr
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before

    other = batch(*cells, "--prompt", "nuclei", "--output", out)
    assert other.exit_code == 2
    assert "choose another folder" in other.stderr


def test_a_scheduler_that_does_not_answer_is_named(tmp_path, cells, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    address = "tcp://127.0.0.1:9"
    done = batch(cells[0], "--prompt", "nuclei", "--output", tmp_path / "out", "--scheduler", address)
    assert done.exit_code == 2
    assert f"No Dask scheduler answers at {address}" in done.stderr
    assert not list((tmp_path / "out").glob("*.ome.zarr"))


@pytest.mark.parametrize("address", ["nonsense://127.0.0.1:9", "tcp://"])
def test_an_address_that_makes_no_sense_is_named(tmp_path, cells, monkeypatch, address):
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    done = batch(cells[0], "--prompt", "nuclei", "--output", tmp_path / "out", "--scheduler", address)
    assert done.exit_code == 2
    assert address in done.stderr


def test_a_missing_file_is_named(tmp_path):
    missing = tmp_path / "missing.tif"
    done = batch(missing, "--prompt", "nuclei", "--output", tmp_path / "out")
    assert done.exit_code == 2
    assert f"There is no file {missing}" in done.stderr
    assert "Mend or leave out" in done.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--recipe", "missing.json"), "missing.json"),
        (("--recipe", '{"prompts": 3}'), "no recipe"),
        (("--prompt", " "), "prompt"),
        (("--prompt", "nuclei", "--model", "nonsense"), "nonsense"),
        (("--prompt", "nuclei", "--link"), "add --instances"),
        (("--recipe", RECIPE, "--prompt", "nuclei", "--threshold", 0.5), "what --prompt, --threshold would"),
        (("--recipe", RECIPE, "--no-instances"), "what --instances would"),
        (("--recipe", RECIPE, "--c", 0, "--link", "--model", "mini"), "what --model, --link, --c would"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_written(tmp_path, cells, options, sentence):
    done = batch(cells[0], "--output", tmp_path / "out", *options)
    assert done.exit_code == 2, done.output
    assert sentence in done.stderr
    assert not (tmp_path / "out").exists()
