"""Trivial methods on images whose answer is known."""

import numpy as np
import pytest
from skimage.io import imsave

from napari_biomedparse.evaluation.baselines import (
    BASELINE_COLUMNS,
    Baselines,
    BaselineScore,
    baseline_rows,
    best_baselines,
    image_baselines,
)
from napari_biomedparse.evaluation.overlap import dice
from napari_biomedparse.evaluation.scores import TargetKey
from napari_biomedparse.training.dataset import read_split


def test_dark_regions_inside_without_those_at_the_border():
    image = np.full((40, 40), 200, np.uint8)
    image[:, :6] = 20
    image[10:20, 10:20] = image[25:32, 25:32] = image[36, 36] = 30
    masks = image_baselines(image, "X-Ray")
    assert set(masks) == {"otsu_bright", "otsu_dark", "otsu_dark_inner2", "full_image"}
    inner = masks["otsu_dark_inner2"]
    assert inner.sum() == 100 + 49
    assert inner[15, 15]
    assert inner[28, 28]
    assert (masks["otsu_dark"] == (image < 100)).all()
    assert (masks["otsu_bright"] == ~masks["otsu_dark"]).all()
    assert masks["full_image"].all()
    assert not image_baselines(np.full((9, 9), 7, np.uint8), "CT")["otsu_bright"].any()


def test_thin_dark_lines_of_a_fundus_image():
    image = np.full((60, 60, 4), 255, np.uint8)
    image[..., 1] = np.linspace(60, 200, 60)[None].astype(np.uint8)
    image[30:33, :, 1] -= 40
    line = np.zeros((60, 60), bool)
    line[30:33] = True
    masks = image_baselines(image, "fundus")
    assert dice(masks["tophat_green_otsu"], line) > 0.95 > dice(masks["otsu_dark"], line)
    assert "tophat_green_otsu" not in image_baselines(image, "endoscope")
    assert "tophat_green_otsu" not in image_baselines(image[..., 1], "fundus")


def test_real_nuclei_are_found_about_as_well_as_published_for_such_images(fluorescence, histology):
    pixels, truth, _ = fluorescence
    assert dice(image_baselines(pixels, "fluorescence microscopy")["otsu_bright"], truth) > 0.85
    pixels, truth, _ = histology
    masks = image_baselines(pixels, "pathology")
    assert dice(masks["hematoxylin_otsu"], truth) > 0.7
    assert dice(masks["otsu_dark"], truth) > 0.7


def write(folder, split, name, place, modality="CT"):
    for part in (split, f"{split}_mask"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    mask = np.zeros((64, 96), np.uint8)
    mask[place] = 255
    stem = f"{name}_{modality}_abdomen"
    imsave(folder / split / f"{stem}.png", np.arange(64 * 96, dtype=np.uint8).reshape(64, 96), check_contrast=False)
    imsave(folder / f"{split}_mask" / f"{stem}_liver.png", mask, check_contrast=False)


def mean_mask_scores(folders, chosen):
    baselines = Baselines(folders)
    examples = read_split(chosen, "test")
    every = [s for e in examples for s in baselines.score(e, e.read_image(), {t: e.read_mask(t) for t in e.masks})]
    return [score.dice for score in every if score.method == "mean_train_mask"]


def test_the_mean_training_mask(tmp_path):
    own, other, none = (tmp_path / name for name in ("Own", "Other", "None"))
    # Nine times at the left, once at the right: the cut leaves the odd one out.
    for number in range(9):
        write(own, "train", f"i{number}", np.s_[16:48, 8:40])
    write(own, "train", "odd", np.s_[16:48, 56:88])
    write(other, "train", "i", np.s_[16:48, 56:88])
    for folder in (own, other, none):
        write(folder, "test", "t", np.s_[16:48, 8:40])
    folders = [own, other, none]
    assert mean_mask_scores(folders, own) == [pytest.approx(1, abs=0.02)]
    assert mean_mask_scores(folders, other) == [0]
    # A set without training images borrows those of the others, if they have the target in its modality.
    assert mean_mask_scores(folders, none) == [pytest.approx(1, abs=0.02)]
    assert mean_mask_scores([none], none) == []
    xray = tmp_path / "X"
    write(xray, "test", "t", np.s_[16:48, 8:40], "X-Ray")
    assert mean_mask_scores([own, xray], xray) == []


def test_the_best_method_has_the_highest_mean():
    key = TargetKey("Set", "CT", "abdomen", "liver")
    scores = [BaselineScore(key, m, d) for m, d in [("a", 0.9), ("a", 0.1), ("b", 0.6), ("b", 0.5), ("c", 0.0)]]
    assert best_baselines(scores) == {key: ("b", pytest.approx(0.55))}
    rows = baseline_rows(scores)
    assert all(tuple(row) == BASELINE_COLUMNS for row in rows)
    assert [(row["method"], row["images"], row["dice_mean"]) for row in rows] == [
        ("a", 2, 0.5), ("b", 2, 0.55), ("c", 1, 0.0),
    ]  # fmt: skip
