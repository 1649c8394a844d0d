import csv
import subprocess
import sys

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from napari_biomedparse.cli.data import app
from napari_biomedparse.training.dataset import read_split
from tests.harmonise.conftest import dictionary, save


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def plain_source(tmp_path):
    """Folders that need no description but modality and site, with labels in German."""
    shown = np.zeros((40, 40), np.uint8)
    shown[10:30, 10:30] = 200
    for number in range(4):
        save(tmp_path / f"source/images/scan{number}.png", shown)
        for label in ("Leber", "Milz", "left_kidney"):
            save(tmp_path / f"source/masks/{label}/scan{number}.png", shown)
    return tmp_path / "source"


PLACE = ("--modality", "CT", "--site", "abdomen")


def test_harmonise_then_build_with_a_language_model(tmp_path, plain_source, server):
    server.answers = [dictionary({"Leber": "liver", "Milz": "spleen"})]
    ask = ("--endpoint", server.address, "--language-model", "tiny", "--phrasings", 2)
    review = tmp_path / "review.csv"
    done = run("harmonise", plain_source, "--review", review, *PLACE, *ask)
    assert done.exit_code == 0, done.output
    assert "3 labels, 0 for you to decide" in done.output
    with review.open(newline="") as file:
        assert {row["label"]: row["target"] for row in csv.DictReader(file)} == {
            **{"Leber": "liver", "Milz": "spleen", "left_kidney": "left kidney"}
        }
    done = run("build", plain_source, "--out", tmp_path / "out", "--review", review, *PLACE, "--size", 32)
    assert done.exit_code == 0, done.output
    assert "4 source images made now" in done.output
    assert {*read_split(tmp_path / "out", "train")[0].masks} == {"liver", "spleen", "left kidney"}
    assert '"sent": "the leber you see"' in (tmp_path / "out/train.json").read_text()
    assert len(server.asked) == 1


def test_build_offline_stops_at_what_it_does_not_know_and_goes_on_once_it_is_decided(tmp_path, plain_source):
    out = tmp_path / "out"
    done = run("build", plain_source, "--out", out, *PLACE, "--size", 32)
    assert done.exit_code == 2
    assert "'Leber', 'Milz'" in done.output
    assert "review.csv" in done.output
    done = run("build", plain_source, "--out", out, *PLACE, "--size", 32, "--drop-undecided")
    assert done.exit_code == 0, done.output
    assert {*read_split(out, "train")[0].masks} == {"left kidney"}
    assert "Each image counts as a patient" in done.output


def test_a_description_can_be_printed_to_begin_with(plain_source):
    done = run("describe", plain_source, *PLACE)
    assert done.exit_code == 0
    assert yaml.safe_load(done.output) == {
        **{"name": "source", "modality": "CT", "site": "abdomen", "images": "images/{image}.png"},
        "masks": [{"files": "masks/{label}/{image}.png"}],
    }
    done = run("describe", plain_source)
    assert (done.exit_code, "--modality" in done.output, "--site" in done.output) == (2, True, True)


def test_a_broken_image_ends_in_code_2_after_the_rest_is_built(tmp_path, plain_source):
    (plain_source / "images/scan1.png").write_bytes(b"no picture")
    done = run("build", plain_source, "--out", tmp_path / "out", *PLACE, "--drop-undecided")
    assert done.exit_code == 2
    assert "images/scan1.png" in done.output
    assert "3 source images made now" in done.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--endpoint", "http://127.0.0.1:1"), "--language-model go together"),
        (("--phrasings", 3), "--endpoint"),
        (("--description", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_options_that_do_not_fit_end_in_a_sentence(tmp_path, plain_source, options, said):
    done = run("build", plain_source, "--out", tmp_path / "out", *PLACE, *options)
    assert done.exit_code == 2
    assert said in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert not (tmp_path / "out").exists()


def test_a_missing_library_is_named():
    code = "import sys; sys.modules['rapidfuzz'] = None; from napari_biomedparse.cli.data import app; app()"
    done = subprocess.run([sys.executable, "-c", code, "describe", "."], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'napari-biomedparse[data]'" in done.stderr
    assert "Traceback" not in done.stderr
