"""Labels measured with what they were made from: each object's probability is that of its own prompt."""

import numpy as np
import pytest

from napari_biomedparse import ObjectMask, PixelSize, Recipe, compose_labels, measure_objects
from napari_biomedparse.engine.channels import Channel
from napari_biomedparse.engine.follow import Findings, Seen
from napari_biomedparse.engine.kept import keep
from napari_biomedparse.engine.measure_findings import measure_findings
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.engine.stack import Stack

UNIT = dict.fromkeys("ZYX", 1.0)


def found(array, selection, planes, levels=()):
    """Findings: for each place the probability of each prompt."""
    findings = Findings(Stack((*levels, array), selection), recognized=False)
    for place, prompts in planes.items():
        masks = tuple(keep(ObjectMask(prompt, np.float32(values))) for prompt, values in prompts.items())
        findings.add(Seen(place, None, masks))
    return findings


def measured(findings, labels, names, paint=None, link=False, **more):
    recipe = Recipe(findings.stack.selection, tuple(findings.prompts), paint=paint or Paint(), link=link)
    columns, rows = measure_findings(findings, recipe, labels, names, UNIT, "um", **more)
    assert all(list(row) == columns for row in rows)
    return rows


def box(shape, rows, columns, value):
    plane = np.zeros(shape, np.float32)
    plane[rows, columns] = value
    return plane


@pytest.fixture
def overlapping():
    """One prompt at 0.55, and another at 0.95 on half of its pixels."""
    shape = 20, 30
    liver, tumour = box(shape, slice(2, 12), slice(2, 22), 0.55), box(shape, slice(2, 12), slice(12, 28), 0.95)
    return found(np.zeros(shape), Selection("YX"), {(): {"liver": liver, "tumour": tumour}})


def test_overlapped_objects_have_the_probability_of_their_own_prompt(overlapping):
    paint = Paint(rule="first")
    labels, names, overlap = overlapping.labels(paint, link=False)
    assert overlap == 100
    liver, tumour = measured(overlapping, labels, names, paint)
    assert (liver["prompt"], liver["area_px"], tumour["area_px"]) == ("liver", 200, 60)
    assert (liver["mean_probability"], tumour["mean_probability"]) == (pytest.approx(0.55), pytest.approx(0.95))


def test_the_probability_is_that_of_segment_up_to_a_step(rng):
    values = rng.random((2, 40, 50)).astype(np.float32)
    masks = [ObjectMask(prompt, plane) for prompt, plane in zip(("liver", "tumour"), values, strict=True)]
    labels = compose_labels(masks)
    rows = measure_objects(labels, masks, PixelSize(1, 1, "um"))
    findings = found(values[0], Selection("YX"), {(): dict(zip(("liver", "tumour"), values, strict=True))})
    again = measured(findings, labels.values, labels.names)
    assert [row["mean_probability"] for row in again] == pytest.approx(
        [row["mean_probability"] for row in rows], abs=1 / 200
    )


def test_labels_painted_by_hand_have_what_their_prompt_has_there(overlapping):
    labels = np.zeros((20, 30), np.uint16)
    # Half of it on the liver, half of it where there is nothing.
    labels[10:14, 4:8] = 1
    labels[0, 0] = 9
    one, other = measured(overlapping, labels, {1: "liver", 2: "tumour"})
    assert one["mean_probability"] == pytest.approx(0.55 / 2)
    assert (other["label"], other["prompt"], other["mean_probability"]) == (9, "", None)


def test_outside_of_the_part_that_was_parsed_nothing_is_known():
    part = np.full((6, 10), 0.75)
    findings = found(np.zeros((20, 30)), Selection("YX", region=(4, 5, 10, 15)), {(): {"liver": part}})
    labels = np.zeros((20, 30), np.uint16)
    labels[5:8, 6:9] = 1
    labels[8:12, 10:12] = 2
    inside, over = measured(findings, labels, {1: "liver", 2: "liver"})
    assert (inside["mean_probability"], over["mean_probability"]) == (pytest.approx(0.75), None)


@pytest.mark.parametrize("plane", ["YX", "XY", "ZX", "XZ", "ZY", "YZ"])
@pytest.mark.parametrize("axes", ["TZYX", "XTYZ"])
def test_planes_in_any_direction(axes, plane):
    sides = {"T": 2, "Z": 5, "Y": 7, "X": 9}
    shape = tuple(sides[letter] for letter in axes)
    across = next(letter for letter in "ZYX" if letter not in plane)
    chosen = Selection(axes, rows=plane[0], columns=plane[1], at={across: 3})
    # A probability that tells frame, row and column.
    rows, columns = np.mgrid[: sides[plane[0]], : sides[plane[1]]]
    values = {t: 0.5 + 0.2 * t + 0.02 * rows + 0.005 * columns for t in range(2)}
    stack = Stack((np.zeros(shape),), chosen)
    findings = found(
        np.zeros(shape),
        chosen,
        {place: {"liver": values[place[chosen.free.index("T")]]} for place in stack.places()},
    )
    labels = stack.blank(np.int32)
    drawn = np.zeros(values[0].shape, np.int32)
    drawn[1:4, 2:5] = 1
    for place in stack.places():
        stack.write(labels, place, drawn)
    found_rows = measured(findings, labels, {1: "liver"})
    assert [(row["frame"], row["plane"], row["area_px"]) for row in found_rows] == [(0, 3, 9), (1, 3, 9)]
    for t, row in enumerate(found_rows):
        assert row["mean_probability"] == pytest.approx(values[t][1:4, 2:5].mean())
        assert row[f"centroid_{plane[0].lower()}_px"] == 2


def test_a_volume_has_the_mean_over_its_voxels_and_none_if_it_grew_out_of_the_sections_that_are_known():
    shape = 6, 8
    planes = {(z,): {"liver": np.full(shape, 0.6 + 0.1 * z)} for z in range(3)}
    findings = found(np.zeros((4, *shape)), Selection("ZYX"), planes)
    labels = np.zeros((4, *shape), np.uint16)
    labels[0, :2, :2] = labels[1, :4, :2] = 1
    labels[2:4, 5, 5] = 2
    one, other = measured(findings, labels, {1: "liver", 2: "liver"})
    assert (one["volume_px"], one["mean_probability"]) == (12, pytest.approx((4 * 0.6 + 8 * 0.7) / 12))
    assert (other["volume_px"], other["mean_probability"]) == (2, None)


def test_on_a_coarser_level_masks_and_labels_fit_without_resampling():
    fine, coarse = np.zeros((40, 60)), np.zeros((20, 30))
    values = box((20, 30), slice(2, 6), slice(3, 9), 0.8)
    findings = found(coarse, Selection("YX", level=1), {(): {"liver": values}}, levels=[fine])
    labels, names, _ = findings.labels(Paint(), link=False)
    (row,) = measured(findings, labels, names)
    assert (row["area_px"], row["mean_probability"]) == (24, pytest.approx(0.8))


@pytest.mark.parametrize(
    ("instances", "link", "extent"),
    [(False, False, "volume"), (False, True, "volume"), (True, True, "volume"), (True, False, "area")],
)
def test_what_has_one_label_over_sections_is_a_volume(instances, link, extent):
    plane = box((40, 40), slice(5, 25), slice(5, 25), 0.9)
    findings = found(np.zeros((3, 40, 40)), Selection("ZYX"), {(z,): {"liver": plane} for z in range(3)})
    paint = Paint(instances=instances)
    labels, names, _ = findings.labels(paint, link)
    rows = measured(findings, labels, names, paint, link)
    assert [row[f"{extent}_px"] for row in rows] == ([1200] if extent == "volume" else [400, 400, 400])
    assert f"{extent}_um{3 if extent == 'volume' else 2}" in rows[0]


def test_intensities_have_the_names_of_the_channels():
    image = np.stack([np.full((6, 8), value) for value in (3, 7)])
    selection = Selection("CYX", channels=(Channel(1, None),))
    findings = found(image, selection, {(): {"cell": np.full((6, 8), 0.9)}})
    labels = np.ones((2, 6, 8), np.uint16)
    (row,) = measured(findings, labels, {1: "cell"}, channels=("DAPI", "GFP"))
    assert (row["intensity_DAPI_mean"], row["intensity_GFP_mean"]) == (3, 7)
    (row,) = measured(findings, labels, {1: "cell"})
    assert (row["intensity_channel_0_mean"], row["intensity_channel_1_mean"]) == (3, 7)
