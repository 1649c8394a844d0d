"""A recipe followed on the command line: labels and tables in files, nothing replaced unasked."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import zarr
from skimage.io import imread
from typer.testing import CliRunner

from napari_biomedparse.cli import app
from napari_biomedparse.engine.follow import follow
from napari_biomedparse.engine.measure import PixelSize
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.recipe import Recipe
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.io.read import read_picture
from napari_biomedparse.io.result import in_bytes
from napari_biomedparse.ontology.palette import palette, shade
from tests.conftest import DATA

FLUORESCENCE = DATA / "DSB2018-Fluorescence/test/449f41710769_fluorescence+microscopy_cell.png"


def replay(image, recipe, output, *more):
    arguments = ["replay", image, "--recipe", recipe, "--output", output, "--device", "cpu", *more]
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def series(tmp_path):
    """Two different frames."""
    grey = imread(FLUORESCENCE)
    path = tmp_path / "series.ome.tif"
    tifffile.imwrite(path, np.stack([grey, np.flipud(grey)]), metadata={"axes": "TYX"}, ome=True)
    return path


@pytest.fixture
def recipe():
    return Recipe(Selection("TYX"), ("nuclei",), "fluorescence microscopy", paint=Paint(instances=True))


def test_labels_and_table_are_those_of_the_recipe(tmp_path, series, recipe):
    expected = follow(recipe, tifffile.imread(series))
    assert expected[0].any()
    assert expected[1].any()
    done = replay(series, recipe.as_json(), tmp_path / "labels.ome.tif")
    assert (done.exit_code, done.stdout.strip()) == (0, str(tmp_path / "labels.ome.tif")), done.output
    with tifffile.TiffFile(tmp_path / "labels.ome.tif") as file:
        assert file.series[0].axes == "TYX"
        assert (file.asarray() == expected).all()
    (tmp_path / "recipe.json").write_text(recipe.as_json(), encoding="utf-8")
    assert replay(series, tmp_path / "recipe.json", tmp_path / "objects.csv").exit_code == 0
    with (tmp_path / "objects.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    areas = {(int(row["frame"]), int(row["label"])): int(row["area_px"]) for row in rows}
    assert areas == {
        (t, label): int((frame == label).sum())
        for t, frame in enumerate(expected)
        for label in np.unique(frame[frame > 0])
    }
    assert {row["prompt"] for row in rows} == {"nuclei"}


def test_sizes_and_colours_are_those_of_the_image_and_the_objects(tmp_path, recipe):
    grey = imread(FLUORESCENCE)
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "µm"}
    tifffile.imwrite(tmp_path / "cells.ome.tif", grey, metadata={"axes": "YX", **sizes}, ome=True)
    recipe = replace(recipe, selection=Selection("YX"))
    for name in ("labels.ome.tif", "labels.ome.zarr", "objects.csv"):
        done = replay(tmp_path / "cells.ome.tif", recipe.as_json(), tmp_path / name)
        assert done.exit_code == 0, done.output
    assert read_picture(tmp_path / "labels.ome.tif").pixel_size == PixelSize(0.5, 0.5, "um")
    with (tmp_path / "objects.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["area_um2"]) == pytest.approx(int(rows[0]["area_px"]) / 4)
    label = zarr.open_group(tmp_path / "labels.ome.zarr", mode="r").attrs["ome"]["image-label"]
    (own,) = palette(["nuclei"])
    wanted = {int(row["label"]): in_bytes(shade(own, int(row["label"]))) for row in rows}
    assert {entry["label-value"]: entry["rgba"] for entry in label["colors"]} == wanted


def test_what_is_there_and_what_cannot_be_written_is_refused_at_once(tmp_path, series, recipe):
    image = series.read_bytes()
    old = tmp_path / "labels.ome.tif"
    old.write_bytes(b"old")
    cases = [
        ((old,), "add --overwrite"),
        ((tmp_path / "labels.png",), "names no known format"),
        ((tmp_path / "missing" / "labels.ome.tif",), "There is no folder"),
        ((series, "--overwrite"), "is the image itself"),
    ]
    for (output, *more), sentence in cases:
        # Refused before the recipe is read.
        done = replay(series, "{no recipe", output, *more)
        assert done.exit_code == 2
        assert sentence in done.stderr
    assert old.read_bytes() == b"old"
    assert series.read_bytes() == image
    assert replay(series, recipe.as_json(), old, "--overwrite").exit_code == 0
    assert tifffile.imread(old).shape == (2, *imread(FLUORESCENCE).shape)


def test_another_model_than_the_recipes_is_refused(tmp_path, series, recipe):
    other = json.dumps({**json.loads(recipe.as_json()), "weights": "0" * 64})
    done = replay(series, other, tmp_path / "labels.ome.tif")
    assert done.exit_code == 2
    assert "is not the model of the recipe" in done.stderr
    assert not (tmp_path / "labels.ome.tif").exists()


def test_an_image_that_cannot_be_parsed_is_named_not_the_recipes(tmp_path, recipe):
    broken = np.full((2, 64, 64), np.nan, np.float32)
    path = tmp_path / "other.ome.tif"
    tifffile.imwrite(path, broken, metadata={"axes": "TYX"}, ome=True)
    refused = replay(path, replace(recipe, source="/data/monday/scan.tif").as_json(), tmp_path / "labels.ome.tif")
    assert refused.exit_code == 2
    assert f"{path}: The image has NaN" in refused.output
    assert "monday" not in refused.output


def test_a_coronal_plane_has_a_row_for_each_object(tmp_path):
    grey = imread(FLUORESCENCE)[:200, :240]
    volume = np.repeat(grey[:, None], 3, axis=1)
    path = tmp_path / "volume.ome.tif"
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.7, "PhysicalSizeZ": 0.5}
    sizes |= {f"PhysicalSize{axis}Unit": "µm" for axis in "XYZ"}
    tifffile.imwrite(path, volume, metadata={"axes": "ZYX", **sizes}, ome=True)
    selection = Selection("ZYX", rows="Z", columns="X", at={"Y": 1})
    asked = Recipe(selection, ("nuclei",), paint=Paint(instances=True))
    done = replay(path, asked.as_json(), tmp_path / "objects.csv")
    assert done.exit_code == 0, done.output
    with (tmp_path / "objects.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    labels = follow(asked, volume)
    assert [int(row["label"]) for row in rows] == list(range(1, labels.max() + 1))
    assert [int(row["area_px"]) for row in rows] == np.bincount(labels.ravel())[1:].tolist()
    assert {row["plane"] for row in rows} == {"1"}
    assert float(rows[0]["area_um2"]) == pytest.approx(int(rows[0]["area_px"]) * 0.25)
