"""The command line, end to end: files in, files out, one sentence and exit code 2 for what cannot work."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage.io import imread, imsave
from skimage.segmentation import find_boundaries
from typer.testing import CliRunner

from napari_biomedparse import Predictor
from napari_biomedparse.cli import app
from napari_biomedparse.evaluation.overlap import dice
from napari_biomedparse.ontology import find_object
from tests.conftest import DATA

FLUORESCENCE = DATA / "DSB2018-Fluorescence/test/449f41710769_fluorescence+microscopy_cell.png"
HISTOLOGY = DATA / "DSB2018-HE/test/3934a094e853_pathology_tissue.png"


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_segment_as_a_program_from_a_cold_start(tmp_path, fluorescence):
    """Runs the installed program, in another folder, without a display."""
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "napari_biomedparse", "segment", FLUORESCENCE, HISTOLOGY),
            *("--prompt", "nuclei", "--prompt", "left kidney", "--output", tmp_path / "out"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "nuclei" in done.stdout
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        f"{f.stem}{e}" for f in (FLUORESCENCE, HISTOLOGY) for e in ("_labels.ome.tif", "_labels.json", "_objects.csv")
    }
    labels = imread(tmp_path / "out" / f"{FLUORESCENCE.stem}_labels.ome.tif")
    assert dice(labels == 1, fluorescence[1]) > 0.88
    described = json.loads((tmp_path / "out" / f"{FLUORESCENCE.stem}_labels.json").read_text())
    assert described["names"] == {"1": "nuclei", "2": "left kidney"}
    with (tmp_path / "out" / f"{FLUORESCENCE.stem}_objects.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["prompt"] == "nuclei"
    assert int(rows[0]["area_px"]) == (labels == 1).sum()


def test_the_diameter_of_cells_can_be_given(tmp_path, fluorescence, predictor):
    image = tmp_path / "cells.png"
    imsave(image, fluorescence[0][:160, :200], check_contrast=False)
    for folder, more in {"given": ["--diameter", 50], "measured": []}.items():
        done = run("segment", image, "--prompt", "nuclei", *more, "--output", tmp_path / folder)
        assert done.exit_code == 0, done.output
    given, measured = (imread(tmp_path / name / "cells_labels.ome.tif") for name in ("given", "measured"))
    (mask,) = predictor.segment(fluorescence[0][:160, :200], ["nuclei"], diameter=50)
    assert (given == mask.mask()).all()
    assert (given != measured).any()
    refused = run("segment", image, "--prompt", "nuclei", "--diameter", 0, "--output", tmp_path / "none")
    assert refused.exit_code == 2
    assert not (tmp_path / "none").exists()


def test_a_ct_in_hounsfield_units_is_shown_in_the_window_of_its_site(tmp_path, fluorescence):
    """Soft tissue that spans 400 of 4,000 values; cells stand in for organs."""
    shown = fluorescence[0][:160, :200]
    units = (shown / 255.0 * 400 - 150).astype(np.int16)
    units[:20], units[20:24] = -1000, 3000
    known = shown.copy()
    known[:20], known[20:24] = 0, 255
    imsave(tmp_path / "known.png", known, check_contrast=False)
    tifffile.imwrite(tmp_path / "scan.tif", units)
    asked = ("--prompt", "nuclei", "--threshold", 0.5)
    found = {}
    for name, file, more in (
        ("known", "known.png", ()),
        ("told", "scan.tif", ("--modality", "CT-Abdomen")),
        ("site", "scan.tif", ("--window", "abdomen")),
        ("values", "scan.tif", ("--window", "-150,250")),
        ("auto", "scan.tif", ()),
    ):
        done = run("segment", tmp_path / file, *asked, *more, "--output", tmp_path / name)
        assert done.exit_code == 0, done.output
        assert ("Note: " in done.stderr) == (name == "auto"), done.stderr
        stem = file.partition(".")[0]
        found[name] = imread(tmp_path / name / f"{stem}_labels.ome.tif")[30:] > 0
        about = json.loads((tmp_path / name / f"{stem}_labels.json").read_text())
        assert about["intensity"] == ("auto" if name in ("auto", "known") else [-150, 250])
    assert found["known"].any()
    for name in ("told", "site", "values"):
        assert dice(found[name], found["known"]) > 0.95
    assert dice(found["auto"], found["known"]) < dice(found["site"], found["known"])
    recognized = run("recognize", tmp_path / "scan.tif", "--modality", "CT-Abdomen", "--output", tmp_path / "all")
    assert recognized.exit_code == 0, recognized.output
    assert "Note: " not in recognized.stderr
    refused = run("segment", tmp_path / "scan.tif", *asked, "--window", "knee", "--output", tmp_path / "none")
    assert refused.exit_code == 2
    assert "'knee' is no window: give abdomen" in refused.output


def test_a_kind_of_image_that_there_is_not_is_refused(tmp_path):
    refused = run("segment", FLUORESCENCE, "--prompt", "nuclei", "--modality", "patholgy", "--output", tmp_path / "out")
    assert refused.exit_code == 2
    assert "There is no list of objects for 'patholgy'; choose one of:" in refused.output


def test_one_colour_of_a_picture_is_read_as_grey(tmp_path, fluorescence):
    grey = fluorescence[0]
    colours = np.zeros((*grey.shape, 3), np.uint8)
    colours[..., 1] = grey
    imsave(tmp_path / "green.png", colours, check_contrast=False)
    imsave(tmp_path / "grey.png", grey, check_contrast=False)
    asked = ("--prompt", "nuclei", "--output", tmp_path / "out")
    for name, more in (("green", ("--c", 1)), ("grey", ())):
        done = run("segment", tmp_path / f"{name}.png", *asked, *more)
        assert done.exit_code == 0, done.output
    green, plain = (imread(tmp_path / "out" / f"{name}_labels.ome.tif") for name in ("green", "grey"))
    assert plain.any()
    assert (green == plain).all()
    for name in ("green", "grey"):
        done = run("segment", tmp_path / f"{name}.png", *asked, "--c", 3, "--overwrite")
        assert done.exit_code == 2
        assert f"{name}.png has no " in done.output


def test_grey_with_transparency_is_grey(tmp_path, fluorescence):
    pixels = fluorescence[0][:64, :64]
    Image.fromarray(np.stack([pixels, np.full_like(pixels, 255)], axis=-1), "LA").save(tmp_path / "grey.png")
    done = run("segment", tmp_path / "grey.png", "--prompt", "nuclei", "--c", 0, "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried much.\nAnd more.")])
def test_an_image_that_does_not_fit_in_memory_does_not_stop_the_others(tmp_path, monkeypatch, error):
    encode = Predictor.encode

    def encode_small(self, image, *arguments, **more):
        if image.shape[0] > 64:
            raise error
        return encode(self, image, *arguments, **more)

    monkeypatch.setattr(Predictor, "encode", encode_small)
    for name, side in (("large", 80), ("small", 64)):
        imsave(tmp_path / f"{name}.png", imread(FLUORESCENCE)[:side, :side])
    files = tmp_path / "large.png", tmp_path / "small.png"
    done = run("segment", *files, "--prompt", "nuclei", "--coco", "--output", tmp_path / "out")
    assert done.exit_code == 2
    assert "large.png" in done.stderr
    assert "use `batch`" in done.stderr
    assert "And more" not in done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"coco.json", "small_labels.ome.tif"}


def test_instances_threshold_units_and_json(tmp_path, fluorescence):
    image = tmp_path / "cells.ome.tif"
    unit = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    tifffile.imwrite(
        image, fluorescence[0], metadata={"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, **unit}
    )
    done = run(
        "segment", image, "--prompt", "nuclei", "--instances", "--threshold", 0.6, "--json", "--output", tmp_path
    )
    assert done.exit_code == 0, done.output
    (summary,) = json.loads(done.stdout)
    assert summary["model"] == "mini"
    (found,) = summary["prompts"]
    with Path(summary["objects"]).open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == found["objects"] > 10
    assert sum(int(row["area_px"]) for row in rows) == found["area_px"]
    assert float(rows[0]["area_um2"]) == pytest.approx(int(rows[0]["area_px"]) * 0.25)
    labels = imread(summary["labels"])
    assert labels.max() == len(rows)
    assert set(json.loads(Path(summary["names"]).read_text())["names"].values()) == {"nuclei"}


def test_an_overlay_shows_each_object_in_its_colour(tmp_path, fluorescence):
    done = run(
        *("segment", FLUORESCENCE, "--prompt", "flux capacitor", "--prompt", "nuclei"),
        *("--instances", "--overlay", "--json", "--output", tmp_path),
    )
    assert done.exit_code == 0, done.output
    (summary,) = json.loads(done.stdout)
    picture = imread(summary["overlay"]).astype(int)
    labels = imread(summary["labels"])
    names = json.loads(Path(summary["names"]).read_text())["names"]
    nuclei = np.isin(labels, [int(value) for value, prompt in names.items() if prompt == "nuclei"])
    assert picture.shape == (*labels.shape, 3)
    outline = find_boundaries(labels, mode="inner") & nuclei
    colour = [int(find_object("nuclei").colour[n : n + 2], 16) for n in (1, 3, 5)]
    assert (picture[outline] == colour).all()
    # Outside the objects the picture is the grey image.
    assert (np.ptp(picture[labels == 0], axis=-1) == 0).all()


def test_results_are_not_overwritten_unasked(tmp_path):
    small = tmp_path / "small.png"
    imsave(small, imread(FLUORESCENCE)[:64, :64])
    arguments = ["segment", small, "--prompt", "nuclei", "--output", tmp_path / "out"]
    assert run(*arguments).exit_code == 0
    before = (tmp_path / "out" / "small_labels.ome.tif").stat().st_mtime_ns
    refused = run(*arguments)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert (tmp_path / "out" / "small_labels.ome.tif").stat().st_mtime_ns == before
    assert run(*arguments, "--overwrite").exit_code == 0


def test_two_images_of_one_name_do_not_share_a_result(tmp_path):
    (tmp_path / "a").mkdir()
    for path in (tmp_path / "a" / "x.png", tmp_path / "x.png"):
        imsave(path, np.ones((8, 8), np.uint8), check_contrast=False)
    done = run("segment", tmp_path / "a" / "x.png", tmp_path / "x.png", "--prompt", "n", "--output", tmp_path)
    assert done.exit_code == 2
    assert "two folders" in done.stderr


BAD = {
    "missing": (None, "There is no file"),
    "text": (b"hello", "cannot be read"),
    "truncated": ("truncated", "is cut short"),
    "boolean": (np.ones((9, 9), bool), "boolean"),
    "double": (np.ones((9, 9)), "64-bit"),
    "integer64": (np.ones((9, 9), np.int64), "64-bit"),
    "nan": (np.full((9, 9), np.nan, np.float32), "NaN or infinite"),
    "infinite": (np.full((9, 9), np.inf, np.float32), "NaN or infinite"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_images_give_one_sentence_and_exit_code_two(tmp_path, name):
    content, sentence = BAD[name]
    path = tmp_path / f"{name}.tif"
    if isinstance(content, np.ndarray):
        tifffile.imwrite(path, content)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "truncated":
        tifffile.imwrite(path, np.ones((400, 400), np.uint16))
        path.write_bytes(path.read_bytes()[:5000])
    done = run("segment", path, "--prompt", "nuclei", "--output", tmp_path / "out")
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.output


def test_an_image_without_pixels(tmp_path):
    path = tmp_path / "empty.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((0, 0), np.uint8), shape=(0, 0), dtype=np.uint8)
    done = run("segment", path, "--prompt", "nuclei", "--output", tmp_path / "out")
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--prompt", " "], "A prompt is empty"),
        (["--prompt", "nuclei", "--model", "huge"], "no model called 'huge'"),
        (["--prompt", "nuclei", "--model", "nowhere/w.safetensors"], "no model weights"),
        (["--prompt", "nuclei", "--device", "warp"], "no device 'warp'"),
        (["--prompt", "nuclei", "--threshold", "2"], "threshold"),
    ],
)
def test_bad_arguments_give_one_sentence_and_exit_code_two(tmp_path, arguments, sentence):
    done = run("segment", FLUORESCENCE, *arguments, "--output", tmp_path)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.output
    assert not list(tmp_path.iterdir())


def test_a_defect_is_not_passed_off_as_a_mistake_of_the_user(tmp_path, monkeypatch):
    def encode(*_arguments, **_more):
        raise ValueError("operands could not be broadcast")

    monkeypatch.setattr(Predictor, "encode", encode)
    done = run("segment", FLUORESCENCE, "--prompt", "nuclei", "--output", tmp_path)
    assert isinstance(done.exception, ValueError)
    assert "Error: operands" not in done.stderr


def test_a_bad_file_does_not_stop_the_others(tmp_path):
    good = tmp_path / "good.png"
    imsave(good, imread(FLUORESCENCE)[:64, :64])
    done = run("segment", tmp_path / "missing.png", good, "--prompt", "nuclei", "--output", tmp_path / "out")
    assert done.exit_code == 2
    assert "missing.png" in done.stderr
    assert (tmp_path / "out" / "good_labels.ome.tif").exists()


def test_an_output_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("segment", FLUORESCENCE, "--prompt", "nuclei", "--output", tmp_path / "file" / "out")
    assert done.exit_code == 2
    assert "Traceback" not in done.output
    assert f"{tmp_path / 'file' / 'out'} is a file or lies in one; name a folder." in done.stderr
    missing = run("replay", FLUORESCENCE, "--recipe", tmp_path / "nope.json", "--output", tmp_path / "labels.ome.tif")
    assert missing.exit_code == 2
    assert f"There is no file or folder {tmp_path / 'nope.json'}" in missing.stderr


def test_evaluate_writes_a_row_per_target_and_prompt(tmp_path):
    done = run(
        "evaluate", DATA / "DSB2018-HE", "--prompt", "nuclei", "--prompt", "liver", "--output", tmp_path / "r.csv"
    )
    assert done.exit_code == 0, done.output
    with (tmp_path / "r.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["target"], row["prompt"], row["images"]) for row in rows] == [
        ("nucleus", "nuclei", "1"),
        ("nucleus", "liver", "1"),
    ]
    assert float(rows[0]["dice_mean"]) > 0.7 > float(rows[1]["dice_mean"])


def test_evaluate_refuses_other_folders(tmp_path):
    done = run("evaluate", tmp_path)
    assert done.exit_code == 2
    assert "not a BiomedParseData folder" in done.stderr


def test_the_objects_of_all_images_go_into_one_coco_file(tmp_path):
    small = tmp_path / "small.png"
    imsave(small, imread(FLUORESCENCE)[:128, :128])
    arguments = [
        *("segment", small, tmp_path / "missing.png", HISTOLOGY, "--prompt", "nuclei", "--prompt", "flux capacitor"),
        *("--instances", "--coco", "--json", "--output", tmp_path / "out"),
    ]
    done = run(*arguments)
    assert done.exit_code == 2
    assert "missing.png" in done.stderr
    path = tmp_path / "out" / "coco.json"
    content = json.loads(path.read_text())
    assert content["info"]["program"] == "napari-biomedparse"
    assert content["info"]["model"] == "mini"
    nucleus = find_object("nuclei")
    assert [(entry["name"], entry["supercategory"]) for entry in content["categories"]] == [
        ("nuclei", nucleus.group),
        ("flux capacitor", ""),
    ]
    assert [image["file_name"] for image in content["images"]] == ["small.png", HISTOLOGY.name]
    for image, summary in zip(content["images"], json.loads(done.stdout), strict=True):
        labels = imread(summary["labels"])
        assert (image["height"], image["width"]) == labels.shape
        annotations = [entry for entry in content["annotations"] if entry["image_id"] == image["id"]]
        assert len(annotations) == labels.max() > 1
        with Path(summary["objects"]).open() as file:
            scores = [float(row["mean_probability"]) for row in csv.DictReader(file)]
        assert [entry["score"] for entry in annotations] == scores
        for value, entry in enumerate(annotations, start=1):
            counts = entry["segmentation"]["counts"]
            flat = np.repeat(np.arange(len(counts)) % 2, counts)
            assert (flat.reshape(labels.shape, order="F") == (labels == value)).all()
    # Another image's results would be new, the file of the run would not.
    refused = run("segment", FLUORESCENCE, "--prompt", "nuclei", "--coco", "--output", tmp_path / "out")
    assert refused.exit_code == 2
    assert "coco.json is there already" in refused.stderr
    assert json.loads(path.read_text()) == content
    replaced = run("segment", small, "--prompt", "nuclei", "--coco", "--overwrite", "--output", tmp_path / "out")
    assert replaced.exit_code == 0, replaced.output
    assert [image["file_name"] for image in json.loads(path.read_text())["images"]] == ["small.png"]
