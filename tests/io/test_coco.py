"""COCO files, read back with a few lines of their own."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_biomedparse import Box, LabelImage, ObjectMask, compose_labels, measure_objects
from napari_biomedparse.io.coco import CocoDataset, run_lengths


def decode(segmentation):
    """Return the pixels of an uncompressed run-length encoding, bool (H, W)."""
    flat = []
    for turn, count in enumerate(segmentation["counts"]):
        flat += [turn % 2 == 1] * count
    return np.array(flat, bool).reshape(segmentation["size"], order="F")


@given(arrays(np.int32, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.integers(0, 2)))
def test_runs_give_the_pixels_back(values):
    height, width = values.shape
    counts = run_lengths(values, 1, Box(0, 0, height, width, 1.0))
    assert sum(counts) == values.size
    assert all(count > 0 for count in counts[1:])
    assert (decode({"counts": counts, "size": [height, width]}) == (values == 1)).all()


def test_runs_go_down_the_columns_and_begin_with_the_zeros():
    values = np.array([[1, 0, 0], [1, 0, 2]], np.int32)
    assert run_lengths(values, 1, Box(0, 0, 2, 1, 1.0)) == [0, 2, 4]
    assert run_lengths(values, 2, Box(1, 2, 2, 3, 1.0)) == [5, 1]


@pytest.fixture
def masks():
    first = np.zeros((30, 40), np.float32)
    first[2:10, 3:12], first[2:10, 20:30] = 0.9, 0.7
    second = np.zeros((30, 40), np.float32)
    second[15:30, 30:40] = 0.8
    return [ObjectMask("nuclei", first), ObjectMask("Fluxkondensator µ", second)]


def write(path, masks, instances, images=("a.png",)):
    dataset = CocoDataset("mini", {"nuclei": "cell", "Fluxkondensator µ": "", "not found": "organ"})
    labels = compose_labels(masks, instances=instances)
    for image in images:
        dataset.add(Path("folder") / image, labels, measure_objects(labels, masks))
    dataset.write(path)
    return json.loads(path.read_text(encoding="utf-8")), labels


@pytest.mark.parametrize("instances", [False, True])
def test_an_annotation_per_value_of_the_label_image(tmp_path, masks, instances):
    content, labels = write(tmp_path / "coco.json", masks, instances)
    assert content["images"] == [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}]
    annotations = content["annotations"]
    assert len(annotations) == labels.values.max() == (3 if instances else 2)
    for value, annotation in enumerate(annotations, start=1):
        pixels = decode(annotation["segmentation"])
        assert (pixels == (labels.values == value)).all()
        rows, columns = np.nonzero(pixels)
        left, top, width, height = annotation["bbox"]
        assert (left, top) == (columns.min(), rows.min())
        assert (left + width, top + height) == (columns.max() + 1, rows.max() + 1)
        assert annotation["area"] == pixels.sum()
        assert annotation["iscrowd"] == 0
    scores = [annotation["score"] for annotation in annotations]
    assert scores == pytest.approx([0.9, 0.7, 0.8] if instances else [(0.9 * 72 + 0.7 * 80) / 152, 0.8], abs=1e-4)


def test_categories_are_the_prompts_also_those_not_found(tmp_path, masks):
    content, _ = write(tmp_path / "coco.json", masks, True)
    assert content["categories"] == [
        {"id": 1, "name": "nuclei", "supercategory": "cell"},
        {"id": 2, "name": "Fluxkondensator µ", "supercategory": ""},
        {"id": 3, "name": "not found", "supercategory": "organ"},
    ]
    assert [annotation["category_id"] for annotation in content["annotations"]] == [1, 1, 2]


def test_ids_go_on_from_image_to_image(tmp_path, masks):
    content, _ = write(tmp_path / "coco.json", masks, False, ("a.png", "b.tif"))
    assert [(image["id"], image["file_name"]) for image in content["images"]] == [(1, "a.png"), (2, "b.tif")]
    pairs = [(annotation["id"], annotation["image_id"]) for annotation in content["annotations"]]
    assert pairs == [(1, 1), (2, 1), (3, 2), (4, 2)]


def test_an_image_without_objects_is_listed(tmp_path):
    dataset = CocoDataset("mini", {"nuclei": "cell"})
    dataset.add(Path("empty.png"), LabelImage(np.zeros((5, 6), np.int32), {1: "nuclei"}, 0), [])
    dataset.write(tmp_path / "coco.json")
    content = json.loads((tmp_path / "coco.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["empty.png"]
    assert content["annotations"] == []
    assert content["info"]["model"] == "mini"
