"""The table that follows while labels are painted: each object's own probability, and the same sizes as measuring."""

import numpy as np
import pytest
from napari.layers import Image

from napari_biomedparse import ObjectMask, Recipe
from napari_biomedparse.engine.follow import Findings, Seen
from napari_biomedparse.engine.kept import keep
from napari_biomedparse.engine.measure_findings import measure_findings
from napari_biomedparse.engine.paint import Paint
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.engine.stack import Stack
from napari_biomedparse.plugin.counting import spacing_of, table_of

SHAPE = 40, 60


def box(rows, columns, value):
    plane = np.zeros(SHAPE, np.float32)
    plane[rows, columns] = value
    return plane


def found(selection, array):
    """A liver of 0.55, and on half of it, on every section a bit further, a tumour of 0.95."""
    findings = Findings(Stack((array,), selection), recognized=False)
    for n, place in enumerate(findings.stack.places()):
        liver = box(slice(5, 25), slice(5, 35), 0.55)
        tumour = box(slice(5, 25), slice(20 + n, 45), 0.95)
        masks = tuple(keep(ObjectMask(prompt, values)) for prompt, values in (("liver", liver), ("tumour", tumour)))
        findings.add(Seen(place, None, masks))
    return findings


def test_overlapped_labels_have_the_probability_of_their_own_prompt():
    plane = np.zeros(SHAPE, np.uint8)
    image, findings = Image(plane), found(Selection("YX"), plane)
    table = table_of(image, findings, Paint(rule="first"), link=False)
    assert table["prompt"].tolist() == ["liver", "tumour"]
    assert table["mean_probability"].tolist() == [0.55, 0.95]
    # With a layer of their own they overlap.
    for prompt, probability in (("liver", 0.55), ("tumour", 0.95)):
        alone = table_of(image, findings, Paint(instances=True), link=False, alone=prompt)
        assert alone["mean_probability"].tolist() == [probability]


@pytest.mark.parametrize("selection", [Selection("ZYX"), Selection("ZYX", at={"Z": 1}), Selection("TYX")])
@pytest.mark.parametrize(("instances", "link"), [(False, False), (True, True), (True, False)])
@pytest.mark.parametrize("units", [None, ("um", "um", "um")])
def test_it_agrees_with_measuring_the_layer(selection, instances, link, units):
    array = np.zeros((3, *SHAPE), np.uint8)
    image = Image(array, scale=(2, 0.5, 0.25), units=units)
    findings, paint = found(selection, array), Paint(instances=instances)
    live = table_of(image, findings, paint, link)
    labels, names, _ = findings.labels(paint, link)
    recipe = Recipe(selection, ("liver", "tumour"), paint=paint, link=link)
    columns, rows = measure_findings(findings, recipe, labels, names, *spacing_of(image, findings.stack))
    assert set(live.columns) - {"index"} <= set(columns)
    size = "volume" if selection == Selection("ZYX") and (link or not instances) else "area"
    assert f"{size}_px" in live
    assert (f"{size}_um{3 if size == 'volume' else 2}" in live) == (units is not None)
    assert len(live) == len(rows) > 0
    assert live["index"].tolist() == [row["label"] for row in rows]
    for column in live.columns.drop("index"):
        expected = [row[column] for row in rows]
        text = isinstance(expected[0], str)
        assert live[column].tolist() == (expected if text else pytest.approx(expected, abs=1e-3)), column


def test_objects_on_sagittal_planes_count_where_they_lie():
    array = np.zeros((40, 60, 4), np.uint8)
    selection = Selection("ZYX", rows="Z", columns="Y", at={"X": 2})
    table = table_of(Image(array, rgb=False), found(selection, array), Paint(), link=False)
    assert table["plane"].tolist() == [2, 2]
    assert table["centroid_z_px"].tolist() == [14.5, 14.5]
    assert table["mean_probability"].tolist() == [0.55, 0.95]
