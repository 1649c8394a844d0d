"""Who is on which side of the split: patients however spelled, pictures however named."""

import os
from collections import defaultdict

import numpy as np
import pytest
from skimage.io import imread

from napari_biomedparse.harmonise.items import Settings
from napari_biomedparse.harmonise.layout import split_of
from napari_biomedparse.harmonise.source import SourceError
from tests.harmonise.conftest import annotations, build, content_of, describe, save


def test_no_patient_is_in_both_splits_and_none_changes_sides_when_others_come(tmp_path, discs_source):
    def patients(out):
        return {split: {image["group"] for image in annotations(out, split)["images"]} for split in ("train", "test")}

    folder = discs_source(patients=10)
    build(folder, tmp_path / "out")
    few = patients(tmp_path / "out")
    assert few["train"]
    assert few["test"]
    assert not few["train"] & few["test"]
    assert len(few["train"] | few["test"]) == 10
    names = defaultdict(set)
    for split in ("train", "test"):
        for path in (tmp_path / "out" / split).iterdir():
            names[path.name.split("_")[0]].add(split)
    assert all(len(splits) == 1 for splits in names.values())
    # The same data set again with more patients: what there was stays as it is.
    before = content_of(tmp_path / "out" / "test")
    discs_source(patients=14)
    for path in folder.rglob("p?_*.png"):
        os.utime(path, ns=(0, 0))
    build(folder, tmp_path / "more")
    many = patients(tmp_path / "more")
    assert few["train"] <= many["train"]
    assert few["test"] <= many["test"]
    assert before.items() <= content_of(tmp_path / "more" / "test").items()


def test_the_share_of_test_groups_is_kept_on_the_whole():
    groups = [f"patient {number}" for number in range(2000)]
    for seed in (0, 1):
        share = np.mean([split_of(group, 0.2, seed) == "test" for group in groups])
        assert 0.17 < share < 0.23
    assert [split_of(g, 0.2, 0) for g in groups] != [split_of(g, 0.2, 1) for g in groups]


def groups_of(out):
    return {split: {image["group"] for image in annotations(out, split)["images"]} for split in ("train", "test")}


def test_a_patient_whose_name_is_spelled_in_two_ways_is_on_one_side(tmp_path, rng):
    folder = describe(
        tmp_path / "source",
        **{"modality": "CT", "site": "abdomen", "images": "img/{group}_{image}.png"},
        masks=[{"files": "seg/{group}_{image}.png", "label": "liver"}],
    )
    for number in range(12):
        for name in (f"P{number:02d}_a", f"p{number:02d} _b"):
            save(folder / f"img/{name}.png", rng.integers(0, 255, (40, 40), np.uint8))
            save(folder / f"seg/{name}.png", np.full((40, 40), 255, np.uint8))
    build(folder, tmp_path / "out", Settings(size=None, test=0.5))
    groups = groups_of(tmp_path / "out")
    assert not groups["train"] & groups["test"]
    assert groups["train"] | groups["test"] == {f"p{number:02d}" for number in range(12)}
    assert split_of("P01 ", 0.5, 3) == split_of("p01", 0.5, 3)


def test_patients_with_a_picture_in_common_are_on_one_side_and_it_is_told(tmp_path, discs_source):
    folder, out = discs_source(patients=12), tmp_path / "out"
    summary = build(folder, out, Settings(size=None, test=0.5, min_pixels=1))
    assert not [note for note in summary.notes if "same side" in note]
    groups = groups_of(out)
    one, other = sorted(groups["train"])[0], sorted(groups["test"])[0]
    # The same pixels, stored otherwise.
    pixels = imread(folder / f"img/{one}_0.png")
    save(folder / f"img/{other}_0.png", np.stack([pixels] * 3, axis=-1))
    # Empty pictures are no sign of it.
    for patient in sorted(groups["train"] | groups["test"]):
        save(folder / f"img/{patient}_1.png", np.zeros_like(pixels))
    summary = build(folder, tmp_path / "new", Settings(size=None, test=0.5, min_pixels=1), workers=2)
    assert [note for note in summary.notes if f"img/{min(one, other)}_0.png and img/{max(one, other)}_0.png" in note]
    joined = groups_of(tmp_path / "new")
    assert {one, other} <= joined["train"] or {one, other} <= joined["test"]
    assert joined["train"] - {one, other} == groups["train"] - {one, other}
    # Its pixels are known from the earlier build, and it is not made again.
    assert build(folder, tmp_path / "new", Settings(size=None, test=0.5, min_pixels=1)).kept == 48


def test_a_picture_in_both_splits_of_the_source_is_refused_by_both_names(tmp_path, rng):
    folder = describe(
        tmp_path / "source",
        **{"modality": "CT", "site": "abdomen", "images": "{split}/{image}.png"},
        masks=[{"files": "{split}_m/{image}.png", "label": "liver"}],
    )
    pixels = rng.integers(0, 255, (40, 40), np.uint8)
    for name in ("train/a", "test/b"):
        save(folder / f"{name}.png", pixels)
        save(folder / f"{name.replace('/', '_m/')}.png", np.full((40, 40), 255, np.uint8))
    with pytest.raises(SourceError, match=r"train/a\.png \(train\) and test/b\.png \(test\) are the same picture"):
        build(folder, tmp_path / "out")
    save(folder / "test/b.png", 255 - pixels)
    assert build(folder, tmp_path / "out").made == 2
