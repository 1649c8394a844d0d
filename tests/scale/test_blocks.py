"""Planes looked at in blocks: the labels of the undivided plane, no object cut, measured as whole ones."""

import json

import numpy as np
import pytest
from skimage.io import imread
from skimage.transform import rescale

from napari_biomedparse import follow
from napari_biomedparse.engine.channels import Channel
from napari_biomedparse.engine.frames import Frames
from napari_biomedparse.engine.measure_stack import measure_stack
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.ontology.palette import shade
from tests.conftest import ROOT
from tests.scale.runs import MICROMETRES, bytes_of, done, followed, job_of, recipe_of, write_tiff


@pytest.fixture(scope="module")
def divided(tmp_path_factory, predictor, nuclei):
    """A plane in four blocks, the labels of the undivided plane, and its pixels."""
    folder = tmp_path_factory.mktemp("divided")
    job = job_of(write_tiff(folder / "a.ome.tif", nuclei, **MICROMETRES), recipe_of(), folder / "out", bytes_of(192))
    return done(job), followed(job, nuclei, predictor), nuclei


def test_a_plane_in_blocks_has_the_labels_of_the_undivided_plane(divided):
    found, expected, _ = divided
    assert ((found.labels > 0) == (expected > 0)).mean() >= 0.999
    pairs, counts = np.unique(np.stack([expected.ravel(), found.labels.ravel()]), axis=1, return_counts=True)
    partner = {}
    for (label, other), _ in sorted(zip(pairs.T.tolist(), counts, strict=True), key=lambda pair: pair[1]):
        partner[label] = other
    assert (np.vectorize(partner.get)(expected) == found.labels).mean() >= 0.999


@pytest.mark.parametrize("diameter", [None, 40.0])
def test_large_nuclei_are_shown_smaller_in_blocks_too(tmp_path, predictor, nuclei, diameter):
    large = rescale(nuclei, 3, order=1, preserve_range=True).astype(nuclei.dtype)[:600, :600]
    recipe = recipe_of(diameter=diameter)
    job = job_of(write_tiff(tmp_path / "a.ome.tif", large), recipe, tmp_path / "out", bytes_of(320))
    found, expected = done(job).labels, followed(job, large, predictor)
    assert ((found > 0) == (expected > 0)).mean() >= 0.999
    assert len(np.unique(found)) == len(np.unique(expected)) > 5


@pytest.mark.parametrize("side", [320, 4000])
def test_the_size_of_nuclei_holds_for_all_sections(tmp_path, predictor, nuclei, side):
    large = rescale(nuclei, 3, order=1, preserve_range=True).astype(nuclei.dtype)[:500, :500]
    small = np.pad(nuclei, ((0, 200), (0, 200)))
    stack = np.stack([small, large, small, large, small, small])
    job = job_of(write_tiff(tmp_path / "a.ome.tif", stack, "ZYX"), recipe_of("ZYX"), tmp_path / "out", bytes_of(side))
    found, expected = done(job).labels, followed(job, stack, predictor)
    assert expected.any(axis=(1, 2)).all()
    assert ((found > 0) == (expected > 0)).mean() >= 0.999
    assert len(np.unique(found)) == len(np.unique(expected))
    # Alone, the small ones are enlarged more.
    assert not np.array_equal(follow(recipe_of(), small, predictor) > 0, expected[0] > 0)


def test_sections_of_which_few_have_nuclei_are_measured_one_by_one(tmp_path, predictor, nuclei):
    large = rescale(nuclei, 3, order=1, preserve_range=True).astype(nuclei.dtype)[:500, :500]
    nothing = np.zeros_like(large)
    stack = np.stack([large, nothing, nothing, nothing, nothing, nothing])
    job = job_of(write_tiff(tmp_path / "a.ome.tif", stack, "ZYX"), recipe_of("ZYX"), tmp_path / "out", bytes_of(320))
    found, expected = done(job).labels, followed(job, stack, predictor)
    assert expected[0].any()
    assert ((found > 0) == (expected > 0)).mean() >= 0.999
    assert len(np.unique(found)) == len(np.unique(expected))


def test_no_object_is_cut_where_blocks_meet(divided):
    found, expected, _ = divided
    edges = np.concatenate([expected[0], expected[-1], expected[:, 0], expected[:, -1]])
    whole = np.setdiff1d(np.unique(expected), [0, *edges])
    crossing = [label for label in whole if len({*(np.argwhere(expected == label) // 192 @ [2, 1])}) > 1]
    assert len(crossing) >= 2
    for label in whole:
        pixels = found.labels[expected == label]
        values, counts = np.unique(pixels, return_counts=True)
        best = values[counts.argmax()]
        assert best > 0
        assert counts.max() >= 0.95 * pixels.size
        assert (found.labels == best).sum() <= 1.05 * pixels.size
    assert len(np.unique(found.labels)) == len(np.unique(expected))


def test_objects_over_blocks_are_measured_as_whole_ones(divided, predictor):
    found, _, pixels = divided
    names = dict.fromkeys(np.unique(found.labels), "nuclei")
    (channel,) = [
        column.removeprefix("intensity_").removesuffix("_mean") for column in found.table if column.endswith("_mean")
    ]
    rows = list(
        measure_stack(
            Frames(found.labels, "YX"),
            names,
            spacing={"Y": 0.5, "X": 0.25},
            unit="µm",
            intensity={channel: Frames(pixels, "YX")},
        )
    )
    assert [row["label"] for row in rows] == found.table["label"]
    assert {"area_px", "area_um2", "centroid_y_um", "eccentricity", "bbox_right_px"} <= set(found.table)
    for column in found.table:
        if column == "mean_probability":
            continue
        known = [0 if column == "plane" else row[column] for row in rows]
        assert found.table[column] == (known if isinstance(known[0], str) else pytest.approx(known, 1e-6)), column
    (mask,) = predictor.segment(pixels, ["nuclei"])
    known = [mask.probability[found.labels == row["label"]].mean() for row in rows]
    # Probabilities are kept in steps of 0.005, and what is almost nothing as nothing.
    assert found.table["mean_probability"] == pytest.approx(known, abs=0.02)


def test_a_finished_store_says_what_its_labels_are(divided):
    found, _, _ = divided
    attributes = json.loads((found.store.path / "zarr.json").read_bytes())["attributes"]
    ome, ours = attributes["ome"], attributes["napari-biomedparse"]
    labels = set(np.unique(found.labels)) - {0}
    colours = {entry["label-value"]: entry["rgba"] for entry in ome["image-label"]["colors"]}
    names = {entry["label-value"]: entry for entry in ome["image-label"]["properties"]}
    assert labels == set(colours) == set(names)
    assert all("nuclei" in entry.values() for entry in names.values())
    own = [part / 255 for part in ours["prompts"]["nuclei"]]
    assert colours == {value: [round(255 * part) for part in shade(tuple(own), value)] for value in labels}
    assert len({tuple(colour) for colour in colours.values()}) > 5
    (scales,) = [entry["datasets"][0]["coordinateTransformations"] for entry in ome["multiscales"]]
    assert scales[0]["scale"] == [0.5, 0.25]
    assert ours["modality"] == "Fluorescence Microscopy-Cell"
    assert json.loads(ours["recipe"])["prompts"] == ["nuclei"]
    assert set(ours["prompts"]) == {"nuclei"}
    assert found.objects == {"nuclei": len(np.unique(found.labels)) - 1}
    for finer, coarser in zip(found.store.levels, found.store.levels[1:], strict=False):
        assert (np.asarray(coarser[...]) == np.asarray(finer[...])[::2, ::2]).all()
    assert not found.job.scratch.folder.parent.exists()


def test_one_colour_of_a_picture_in_blocks_is_done_as_a_grey_image(tmp_path, predictor, nuclei):
    colours = np.zeros((*nuclei.shape, 3), np.uint8)
    colours[..., 2], colours[..., 1] = nuclei, np.arange(nuclei.shape[1]) // 4
    file = write_tiff(tmp_path / "colours.tif", colours, "YXS")
    asked = Selection("YX", rgb=True, channels=(Channel(2, None),))
    job = job_of(file, recipe_of(selection=asked), tmp_path / "out", bytes_of(170))
    found = done(job)
    grey = write_tiff(tmp_path / "grey.tif", nuclei)
    alone = done(job_of(grey, recipe_of(), tmp_path / "alone", bytes_of(170)))
    assert alone.labels.any()
    assert (found.labels == alone.labels).all()
    assert found.table["intensity_blue_mean"] == alone.table["intensity_channel_0_mean"]
    assert "intensity_red_mean" not in found.table


def test_a_stack_in_blocks_is_linked_as_undivided(tmp_path, predictor, stack):
    recipe = recipe_of("ZYX", link=True)
    path = write_tiff(tmp_path / "a.ome.tif", stack, "ZYX")
    job = job_of(path, recipe, tmp_path / "out", bytes_of(96))
    found = done(job)
    expected = followed(job, stack, predictor)
    assert ((found.labels > 0) == (expected > 0)).mean() >= 0.999
    assert len(np.unique(found.labels)) == len(np.unique(expected))
    pairs, counts = np.unique(np.stack([expected.ravel(), found.labels.ravel()]), axis=1, return_counts=True)
    assert counts[(pairs[0] > 0) & (pairs[1] > 0)].sum() > 0
    for label in np.unique(expected[expected > 0]):
        own = counts[(pairs[0] == label) & (pairs[1] > 0)]
        assert own.max() >= 0.95 * own.sum()


def test_an_organ_is_found_in_blocks_as_on_the_whole_plane(tmp_path, predictor):
    path = ROOT / "resources/samples/chest_xray.png"
    pixels = imread(path)
    recipe = recipe_of(prompts=("lung",), modality="X-Ray-Chest", paint=Paint())
    job = job_of(path, recipe, tmp_path / "out", bytes_of(300))
    expected = followed(job, pixels, predictor)
    found = done(job)
    assert expected.any()
    assert (found.labels == expected).mean() >= 0.995


def test_everything_known_is_judged_over_all_blocks(tmp_path, predictor, histology):
    pixels = histology[0][:200, :230]
    selection = Selection("YX", rgb=True)
    recipe = recipe_of(prompts=(), modality="Pathology-Tissue", selection=selection, paint=Paint(presence=0.01))
    prompts = len(predictor.table.lists["Pathology-Tissue"])
    path = write_tiff(tmp_path / "a.ome.tif", pixels, "YXS")
    job = job_of(path, recipe, tmp_path / "out", bytes_of(192, prompts))
    expected = followed(job, pixels, predictor)
    found = done(job)
    assert expected.any()
    assert (found.labels == expected).mean() >= 0.999
    present = np.unique(expected)
    assert (np.unique(found.labels) == present).all()
    areas = dict(zip(found.table["label"], found.table["area_px"], strict=True))
    assert areas == {value: int((found.labels == value).sum()) for value in present if value}


def test_a_dark_part_of_a_plane_has_no_objects(tmp_path, stack):
    pixels = np.zeros((stack.shape[1], 400), np.uint8)
    pixels[:, :128] = stack[0]
    job = job_of(write_tiff(tmp_path / "a.ome.tif", pixels), recipe_of(), tmp_path / "out", bytes_of(96))
    found = done(job)
    assert found.labels[:, :128].any()
    assert not found.labels[:, 192:].any()
