"""Training data from volumes, coloured masks and files that cannot be masks."""

import json
import shutil

import nibabel
import numpy as np
import pytest

from napari_biomedparse.harmonise.items import Settings
from napari_biomedparse.training.dataset import read_split
from tests.harmonise.conftest import build, describe, save


def scan(folder, name, planes, values):
    """A CT of so many slices whose slice z is empty, but for values (z, label value, half side)."""
    image = np.full((40, 30, planes), -1000, np.int16)
    mask = np.zeros(image.shape, np.uint8)
    for z, value, half in values:
        image[20 - half : 20 + half, 15 - half : 15 + half, z] = 50
        mask[20 - half : 20 + half, 15 - half : 15 + half, z] = value
    for place, array in (("ct", image), ("seg", mask)):
        (folder / place).mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(array, np.diag([-1.0, -1, 1, 1])), folder / place / f"{name}.nii.gz")


@pytest.fixture
def scans(tmp_path):
    folder = describe(
        tmp_path / "scans",
        **{"modality": "CT", "site": "abdomen", "images": "ct/{image}.nii.gz"},
        masks=[{"files": "seg/{image}.nii.gz", "labels": {1: "Liver", 2: "spleen", "kidneys": [3, 4]}}],
    )
    scan(folder, "a", 8, [(2, 1, 8), (3, 2, 4), (5, 3, 3), (6, 4, 5), (7, 1, 1)])
    return folder


def test_volumes_are_cut_into_planes_without_the_empty_ones(tmp_path, scans):
    out = tmp_path / "out"
    summary = build(scans, out, Settings(size=64, test=0, min_pixels=20))
    assert [note for note in summary.notes if note.startswith("4 images or planes show no object")]
    # Also those that an earlier build left out.
    assert build(scans, out, Settings(size=64, test=0, min_pixels=20)).notes == summary.notes
    examples = {example.image.name: example for example in read_split(out, "train")}
    # Slice 7 has fewer pixels than count.
    assert {name: list(example.masks) for name, example in examples.items()} == {
        "a-z002_CT_abdomen.png": ["liver"],
        "a-z003_CT_abdomen.png": ["spleen"],
        "a-z005_CT_abdomen.png": ["kidney"],
        "a-z006_CT_abdomen.png": ["kidney"],
    }
    example = examples["a-z002_CT_abdomen.png"]
    image, mask = example.read_image(), example.read_mask("liver")
    # 50 Hounsfield units in the abdomen's window from -150 to 250.
    assert np.median(image[mask]) == 127
    assert np.median(image[~mask]) == 0
    # The longer side is left to right: bands at top and bottom are padding.
    assert not image[:8].any()
    assert read_split(out, "test") == []


@pytest.mark.parametrize(("plane", "shape"), [("axial", (40, 30)), ("coronal", (20, 30)), ("sagittal", (20, 40))])
def test_planes_across_thick_slices_are_not_squashed(tmp_path, plane, shape):
    folder = describe(
        tmp_path / "thick",
        **{"modality": "CT", "site": "abdomen", "plane": plane, "images": "ct/{image}.nii.gz"},
        masks=[{"files": "seg/{image}.nii.gz", "label": "liver", "instances": True}],
    )
    mask = np.zeros((30, 40, 4), np.uint8)
    mask[10:20, 15:25, 1:3] = 7
    for place, array in (("ct", np.where(mask, 50, -1000).astype(np.int16)), ("seg", mask)):
        (folder / place).mkdir()
        # A cube of 10 mm, in slices 5 mm thick.
        nibabel.save(nibabel.Nifti1Image(array, np.diag([-1.0, -1, 5, 1])), folder / place / "a.nii.gz")
    assert build(folder, tmp_path / "kept", Settings(size=None, test=0)).failures == []
    for example in (kept := read_split(tmp_path / "kept", "train")):
        image, liver, numbers = example.read_image(), example.read_mask("liver"), example.read_instances("liver")
        assert image.shape[:2] == liver.shape == shape
        rows, columns = np.nonzero(liver)
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (10, 10)
        assert (numbers == liver).all()
        assert np.median(image[liver]) == 127
    assert len(kept) == (2 if plane == "axial" else 10)
    build(folder, tmp_path / "laid", Settings(size=80, test=0, empty=1))
    laid = {example.image.name: example.read_mask("liver") for example in read_split(tmp_path / "laid", "train")}
    shown = np.argwhere(next(mask for mask in laid.values() if mask.any()))
    assert len(laid) > len(kept)
    assert abs(np.ptp(shown, axis=0) + 1 - 10 * 80 / max(shape)).max() <= 2


def test_empty_planes_can_be_kept_as_negatives(tmp_path, scans):
    out = tmp_path / "out"
    build(scans, out, Settings(size=64, test=0, min_pixels=20, empty=1))
    examples = {example.image.name: example for example in read_split(out, "train")}
    # Slice 7 shows a bit of liver: no negative.
    assert len(examples) == 7
    assert "a-z007_CT_abdomen.png" not in examples
    empty = examples["a-z000_CT_abdomen.png"]
    assert set(empty.masks) == {"liver", "spleen", "kidney"}
    assert not any(empty.read_mask(target).any() for target in empty.masks)
    about = json.loads((out / "dataset.json").read_text())
    assert about["masks_per_target"]["liver"]["train"] == 1


def test_values_without_a_name_are_told(tmp_path, scans):
    scan(scans, "b", 3, [(1, 255, 8)])
    summary = build(scans, tmp_path / "out", Settings(size=64, test=0))
    assert summary.failures[0][0] == "ct/b.nii.gz"
    assert "255" in summary.failures[0][1]
    # Beside values with a name, one without may be meant to be background.
    shutil.rmtree(tmp_path / "out")
    scan(scans, "b", 3, [(1, 1, 8), (2, 9, 8)])
    summary = build(scans, tmp_path / "out", Settings(size=64, test=0))
    assert summary.failures == []
    assert [note for note in summary.notes if "the value 9" in note and "in 1 images" in note]


def test_a_target_without_any_mask_is_told(tmp_path, scans):
    scan(scans, "a", 8, [(2, 1, 8)])
    notes = build(scans, tmp_path / "out", Settings(size=64, test=0)).notes
    assert [note for note in notes if "spleen" in note]
    assert not [note for note in notes if "liver" in note]


def test_colours_of_masks_are_told_from_greys(tmp_path):
    folder = describe(
        tmp_path / "source",
        **{"modality": "CT", "site": "abdomen", "images": "img/{image}.png"},
        masks=[{"files": "seg/{image}.png", "labels": {"#0000ff": "liver", "#ffffff": "spleen"}}],
    )
    colours = np.zeros((40, 40, 3), np.uint8)
    colours[:20, :, 2] = 255
    white = np.zeros_like(colours)
    white[20:] = 255
    for name, mask in (("both", colours + white), ("white", white)):
        save(folder / f"img/{name}.png", np.full((40, 40), 9, np.uint8))
        save(folder / f"seg/{name}.png", mask)
    assert build(folder, tmp_path / "out", Settings(size=None, test=0)).failures == []
    both, only = read_split(tmp_path / "out", "train")
    assert np.flatnonzero(both.read_mask("liver").all(axis=1)).tolist() == list(range(20))
    assert (both.read_mask("spleen") == ~both.read_mask("liver")).all()
    assert set(only.masks) == {"spleen"}


def test_values_are_not_read_from_a_jpeg(tmp_path):
    folder = describe(
        tmp_path / "source",
        **{"modality": "endoscope", "site": "colon", "images": "img/{image}.jpg"},
        masks=[{"files": "seg/{image}.jpg", "labels": {255: "colon polyp"}}],
    )
    for place in ("img", "seg"):
        save(folder / place / "a.jpg", np.full((40, 40), 255, np.uint8))
    assert "JPEG" in build(folder, tmp_path / "out").failures[0][1]
