"""``napari-biomedparse recognize`` from files to files."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imread, imsave
from typer.testing import CliRunner

from napari_biomedparse.cli import app
from napari_biomedparse.ontology import RecognitionTable
from tests.conftest import ROOT

FLUORESCENCE = ROOT / "resources/samples/fluorescent_nuclei.png"
HISTOLOGY = ROOT / "resources/samples/histology.png"


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def read_rows(path):
    with Path(path).open() as file:
        return list(csv.DictReader(file))


def test_every_object_of_a_modality_gets_a_row_found_or_not(tmp_path):
    done = run("recognize", FLUORESCENCE, "--modality", "x-ray-chest", "--json", "--output", tmp_path)
    assert done.exit_code == 0, done.output
    (summary,) = json.loads(done.stdout)
    assert (summary["modality"], summary["guessed"], summary["scores"]) == ("X-Ray-Chest", False, {})
    rows = read_rows(summary["table"])
    assert {row["prompt"] for row in rows} == {"left lung", "right lung"}
    assert all(row["outcome"] in ("improbable", "empty") for row in rows)
    assert all(row["area_px"] == "0" and row["bbox_top_px"] == "" for row in rows)
    assert imread(summary["labels"]).max() == 0


def test_the_whole_image_can_be_stretched_as_in_the_published_demo(tmp_path):
    done = run("recognize", FLUORESCENCE, "--fit", "stretch", "--json", "--output", tmp_path / "a")
    assert done.exit_code == 0, done.output
    stretched, kept = json.loads(done.stdout)[0], run("recognize", FLUORESCENCE, "--json", "--output", tmp_path / "b")
    assert stretched["findings"] != json.loads(kept.stdout)[0]["findings"]
    for command in (["recognize"], ["segment", "--prompt", "nuclei"]):
        refused = run(*command, FLUORESCENCE, "--fit", "crop", "--output", tmp_path / "c")
        assert refused.exit_code == 2
        assert "fit must be 'pad' or 'stretch', not 'crop'" in refused.stderr
    done = run("segment", FLUORESCENCE, "--prompt", "nuclei", "--fit", "stretch", "--output", tmp_path / "d")
    assert done.exit_code == 0, done.output


def test_what_is_found_is_labelled_boxed_and_the_modality_guessed(tmp_path):
    arguments = ["recognize", HISTOLOGY, FLUORESCENCE, "--coco", "--overlay", "--output", tmp_path]
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    summaries = json.loads(done.stdout)
    coco = json.loads((tmp_path / "coco.json").read_text())
    for summary, expected in zip(summaries, ["Pathology", "Fluorescence Microscopy"], strict=True):
        assert summary["modality"].startswith(expected)
        assert summary["guessed"]
        assert next(iter(summary["scores"])) == summary["modality"]
        (row,) = read_rows(summary["table"])
        assert (row["prompt"], row["outcome"]) == ("nucleus", "found")
        assert float(row["p_value"]) > 0.05
        assert row["depends_on_words"] == "True"
        labels = imread(summary["labels"])
        assert int(row["area_px"]) == (labels == 1).sum() > 1000
        inside = np.nonzero(labels)
        assert [int(row[f"bbox_{side}_px"]) for side in ("top", "left")] == [inside[0].min(), inside[1].min()]
        names = json.loads(Path(summary["names"]).read_text())
        assert (names["modality"], names["names"]) == (summary["modality"], {"1": "nucleus"})
        assert Path(summary["overlay"]).is_file()
    assert len(coco["annotations"]) == 2
    table = run(*arguments, "--overwrite").output
    assert "guessed" in table
    assert "found" in table


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--modality", "telepathy"], "Fluorescence Microscopy-Cell"),
        (["--modality", "ultrasound"], "Ultrasound-Breast, Ultrasound-Abdomen"),
        (["--meta"], "not trained to recognise meta-objects"),
        (["--precision", "float8"], "none of float32"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_sentence(tmp_path, options, sentence):
    done = run("recognize", HISTOLOGY, *options, "--output", tmp_path / "out")
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_image_whose_modality_cannot_be_guessed_asks_for_it(tmp_path):
    imsave(tmp_path / "grey.png", np.full((64, 64), 7, np.uint8), check_contrast=False)
    done = run("recognize", tmp_path / "grey.png", "--output", tmp_path / "out")
    assert done.exit_code == 2
    assert "name its modality, one of: Electron" in done.stderr


def test_objects_without_a_distribution_are_unknown_and_kept(tmp_path):
    weights = tmp_path / "own.safetensors"
    weights.write_bytes((ROOT / "resources/models/mini.safetensors").read_bytes())
    RecognitionTable({"Blood": ("left lung", "nucleus")}).write(tmp_path / "own.recognition.json")
    done = run("recognize", FLUORESCENCE, "--model", weights, "--modality", "Blood", "--json", "--output", tmp_path)
    assert done.exit_code == 0, done.output
    rows = {row["prompt"]: row for row in read_rows(json.loads(done.stdout)[0]["table"])}
    assert {row["p_value"] for row in rows.values()} == {"unknown"}
    assert (rows["nucleus"]["outcome"], rows["left lung"]["outcome"]) == ("found", "empty")
