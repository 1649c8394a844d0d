"""One recipe gives one table: exported from the dock, replayed on the command line, and written by batch."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers._source import layer_source
from skimage.io import imsave
from typer.testing import CliRunner

from napari_biomedparse import Recipe
from napari_biomedparse.cli import app
from napari_biomedparse.engine.axes import Axes
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.engine.session import Loaded, Session
from napari_biomedparse.plugin.layers import recipe_of
from napari_biomedparse.plugin.result import Output
from napari_biomedparse.plugin.result_actions import ResultActions
from napari_biomedparse.plugin.selecting import Choices
from tests.plugin.directly import Direct, Now, only
from tests.scale.runs import done, job_of

SIZES = {"Z": 2.0, "Y": 0.5, "X": 0.25}


@pytest.fixture(scope="module")
def stack(fluorescence):
    """Two channels of three sections, on each of which nuclei have moved a little."""
    pixels = fluorescence[0]
    nuclei = np.stack([pixels[n : n + 120, 60 + 2 * n : 188 + 2 * n] for n in (0, 3, 6)])
    return np.stack([nuclei // 3, nuclei])


def write(path, stack, names):
    sizes = {f"PhysicalSize{axis}": size for axis, size in SIZES.items()}
    sizes |= {f"PhysicalSize{axis}Unit": "µm" for axis in SIZES}
    named = {"Channel": {"Name": list(names)}} if names else {}
    tifffile.imwrite(path, stack, ome=True, metadata={"axes": "CZYX", **sizes, **named})
    return path


def exported(predictor, path, where, scope="z", paint=None, link=True):
    """What the dock makes of a file: its recipe, and what it exports."""
    viewer, now = ViewerModel(), Now()
    control = Direct(viewer, Session(loaded=Loaded(predictor, ("mini", "auto"), {"mini": "0" * 64})), now)
    control.output = Output(link=link)
    control.set_paint(**(paint or {}))
    with layer_source(path=str(path)):
        image = viewer.add_image(tifffile.imread(path), name=path.name)
    image.scale, image.units = (1, *SIZES.values()), ("pixel", "um", "um", "um")
    viewer.dims.set_point(0, 1)
    control.find(image, ["nuclei"], Choices(scope, axes=Axes("CZYX")), "Fluorescence Microscopy-Cell")
    actions = ResultActions(viewer, control, now)
    actions.said.connect(lambda sentence, refused: pytest.fail(sentence) if refused else None)
    for file in where:
        actions.export_to(file)
        now.go_on()
    # The file of its model is not the one that the session's digest tells.
    return replace(recipe_of(only(viewer)), weights="")


def replayed(path, recipe, output):
    arguments = ["replay", path, "--recipe", recipe.as_json(), "--output", output, "--device", "cpu"]
    ended = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert ended.exit_code == 0, ended.output
    return output


@pytest.mark.parametrize("names", [("DAPI", "GFP"), ()])
@pytest.mark.parametrize(
    ("scope", "instances", "link", "extent"),
    [
        ("z", False, True, "volume"),
        ("z", True, True, "volume"),
        ("z", True, False, "area"),
        ("slice", True, True, "area"),
    ],
)
def test_a_recipe_has_one_table(tmp_path, predictor, stack, names, scope, instances, link, extent):
    path = write(tmp_path / "cells.ome.tif", stack, names)
    recipe = exported(predictor, path, [tmp_path / "dock.csv"], scope, {"instances": instances}, link)
    dock = pd.read_csv(tmp_path / "dock.csv").drop(columns="review")
    replay = pd.read_csv(replayed(path, recipe, tmp_path / "replay.csv"))
    assert len(dock) > (2 if instances else 0)
    pd.testing.assert_frame_equal(dock, replay)
    job = job_of(path, recipe, tmp_path / "out")
    batch = pd.DataFrame(done(job).table)
    assert f"{extent}_um{3 if extent == 'volume' else 2}" in batch
    own, other = names[::-1] or ("channel_1", "channel_0")
    assert {f"intensity_{own}_mean", "mean_probability"} <= set(batch)
    # What was not looked at is not read, and sums over blocks tell less of shapes.
    more = {"solidity", "box_ratio", "convex_ratio", "inverse_rotational_inertia", f"intensity_{own}_median"}
    more |= {column for column in replay if column.startswith(f"intensity_{other}_")}
    assert set(replay) - set(batch) <= more
    assert set(batch) <= set(replay)
    pd.testing.assert_frame_equal(
        batch.sort_values(["plane", "label"] if "plane" in batch else "label", ignore_index=True),
        replay[batch.columns],
        check_dtype=False,
        rtol=1e-5,
    )


def test_scores_of_coco_and_measurements_of_geojson_are_the_tables(tmp_path, predictor, stack):
    path = write(tmp_path / "cells.ome.tif", stack, ())
    where = [tmp_path / f"dock.{ending}" for ending in ("csv", "json", "geojson")]
    recipe = exported(predictor, path, where, "slice", {"instances": True})
    again = [replayed(path, recipe, tmp_path / file.name.replace("dock", "replay")) for file in where]
    for table, coco, outlines in (where, again):
        rows = pd.read_csv(table).set_index("label")["mean_probability"]
        assert rows.between(0.5, 1).all()
        objects = json.loads(coco.read_text(encoding="utf-8"))["annotations"]
        assert {entry["label"]: entry["score"] for entry in objects} == pytest.approx(rows.to_dict())
        features = json.loads(outlines.read_text(encoding="utf-8"))["features"]
        found = {entry["properties"]["label"]: entry["properties"]["measurements"] for entry in features}
        assert {label: row["mean_probability"] for label, row in found.items()} == pytest.approx(rows.to_dict())


def test_scores_are_those_of_segment(tmp_path, stack):
    plane = tmp_path / "cells.png"
    imsave(plane, stack[1, 0], check_contrast=False)
    modality = "Fluorescence Microscopy-Cell"
    arguments = ["segment", plane, "--prompt", "nuclei", "--modality", modality, "--threshold", 0.5, "--instances"]
    arguments += ["--coco", "--output", tmp_path / "out", "--device", "cpu"]
    ended = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert ended.exit_code == 0, ended.output
    recipe = Recipe(Selection("YX"), ("nuclei",), modality, paint=Paint(0.5, instances=True))
    one, other = tmp_path / "out" / "coco.json", replayed(plane, recipe, tmp_path / "replay.json")
    one, other = ([entry["score"] for entry in json.loads(path.read_text())["annotations"]] for path in (one, other))
    assert len(one) > 2
    # Probabilities are kept in steps of 0.005, rounded up.
    assert other == pytest.approx(one, abs=0.006)


@pytest.mark.parametrize("named", [True, False])
def test_layers_of_one_file_that_are_mixed_have_the_names_of_its_channels(tmp_path, predictor, stack, named):
    planes = np.stack([stack[0, 0] // 2, stack[1, 0], stack[1, 0] // 2])
    path = write(tmp_path / "cells.ome.tif", planes[:, None], ("DAPI", "GFP", "RFP") if named else ())
    viewer, now = ViewerModel(), Now()
    control = Direct(viewer, Session(loaded=Loaded(predictor, ("mini", "auto"), {"mini": "0" * 64})), now)
    with layer_source(path=str(path)):
        # Neither all of them nor in the file's order.
        red, green = (viewer.add_image(planes[n], colormap=colour) for n, colour in ((2, "red"), (1, "green")))
    control.find(green, ["nuclei"], Choices(beside=(red,), window="layer"), "Fluorescence Microscopy-Cell")
    assert [channel.index for channel in recipe_of(only(viewer)).selection.channels] == [2, 1]
    ResultActions(viewer, control, now).export_to(tmp_path / "objects.csv")
    now.go_on()
    (row,) = pd.read_csv(tmp_path / "objects.csv").to_dict("records")
    inside = only(viewer).data > 0
    for channel, name in ((1, "GFP"), (2, "RFP")):
        column = f"intensity_{name if named else f'channel_{channel}'}_mean"
        assert row[column] == pytest.approx(planes[channel][inside].mean())
    assert len([column for column in row if column.endswith("_median")]) == 2
