import json
import re
import signal
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
from skimage.io import imread, imsave

from napari_biomedparse.harmonise.assemble import write_split
from napari_biomedparse.harmonise.items import Settings
from napari_biomedparse.harmonise.review import Review, ReviewError
from napari_biomedparse.harmonise.source import SourceError
from napari_biomedparse.training.dataset import read_split
from tests.conftest import ROOT
from tests.harmonise.conftest import SMALL, annotations, build, content_of, describe, save


def test_a_data_set_can_be_read_and_trained_on(tmp_path, discs_source, tiny_config):
    from napari_biomedparse.training.loop import TrainConfig, train

    out = tmp_path / "out"
    summary = build(discs_source(), out)
    assert (summary.made, summary.failed) == (40, 0)
    examples = {split: read_split(out, split) for split in ("train", "test")}
    assert sum(map(len, examples.values())) == 40
    example = examples["train"][1]
    assert (example.modality, example.site) == ("fluorescence microscopy", "cell")
    assert set(example.masks) == {"nucleus", "cytoplasm"}
    image, mask = example.read_image(), example.read_mask("nucleus")
    assert (image.shape, image.dtype, mask.shape) == ((32, 32, 3), np.uint8, (32, 32))
    assert np.median(image[mask]) > 200 > 100 > np.median(image[~mask])
    run = TrainConfig(steps=1, batch=2, size=64)
    assert train([out], tiny_config, run, tmp_path / "run").is_file()


def test_the_json_files_have_the_fields_of_the_published_ones(tmp_path, discs_source):
    out = tmp_path / "out"
    build(discs_source(), out)
    sentence_ids = []
    for split in ("train", "test"):
        content = annotations(out, split)
        assert set(content) == {"info", "licenses", "images", "categories", "annotations"}
        assert [category["id"] for category in content["categories"]] == list(range(17))
        images = {image["id"]: image for image in content["images"]}
        assert {image["file_name"] for image in images.values()} == {p.name for p in (out / split).iterdir()}
        assert {row["mask_file"] for row in content["annotations"]} == {
            path.name for path in (out / f"{split}_mask").iterdir()
        }
        for row in content["annotations"]:
            assert {"iscrowd", "category_id", "sent_ids", "ref_id", "ann_id", "id"} <= set(row)
            assert images[row["image_id"]]["file_name"] == row["file_name"]
            mask = imread(out / f"{split}_mask" / row["mask_file"])
            left, top, width, height = row["bbox"]
            inside = mask[top : top + height, left : left + width] > 0
            assert row["area"] == (mask > 0).sum() == inside.sum()
            assert inside.any(axis=0).all()
            assert inside.any(axis=1).all()
            assert content["categories"][row["category_id"]]["name"] == "histology structure"
            sentences = [sentence["sent"] for sentence in row["sentences"]]
            assert sentences[0] == f"{row['target']} in cell fluorescence microscopy"
            assert len(sentences) == len(set(sentences)) >= 5
            assert [sentence["sent_id"] for sentence in row["sentences"]] == row["sent_ids"]
            sentence_ids += [(split, number) for number in row["sent_ids"]]
    assert len(sentence_ids) == len(set(sentence_ids))
    about = json.loads((out / "dataset.json").read_text())
    assert about["licence"] == "CC0"
    assert about["masks_per_target"]["nucleus"]["train"] + about["masks_per_target"]["nucleus"]["test"] == 40
    assert about["labels"] == {"Nuclei": "nucleus", "cell_cytoplasms": "cytoplasm"}


def test_a_finished_build_is_continued_with_new_images_only(tmp_path, discs_source):
    out = tmp_path / "out"
    folder = discs_source(patients=3)
    build(folder, out)
    for number in (7, 8):
        save(folder / f"img/p{number}_0.png", imread(folder / "img/p0_0.png"))
        save(folder / f"seg/p{number}_0_Nuclei.png", imread(folder / "seg/p0_0_Nuclei.png"))
    summary = build(folder, out)
    assert (summary.made, summary.kept) == (2, 12)
    build(folder, tmp_path / "at once")
    assert content_of(out) == content_of(tmp_path / "at once")


KILLED = """
import sys, time
from pathlib import Path
from napari_biomedparse.harmonise import items
write = items._write
def slowly(path, pixels):
    time.sleep(0.02)
    write(path, pixels)
items._write = slowly
from tests.harmonise.test_build import build
build(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_killed_build_goes_on_to_the_same_bytes(tmp_path, discs_source):
    folder, out = discs_source(), tmp_path / "out"
    with subprocess.Popen([sys.executable, "-c", KILLED, folder, out], cwd=ROOT) as process:
        journal = out / "build.jsonl"
        while not (journal.is_file() and journal.read_bytes().count(b"\n") >= 5):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    done = journal.read_bytes().count(b"\n")
    assert 5 <= done < 40
    assert not (out / "train.json").exists()
    # As if it had been writing a line, too.
    with journal.open("ab") as file:
        file.write(b'{"key": "p9_')
    summary = build(folder, out)
    # Of the last line it may not have moved the files yet.
    assert summary.kept in (done - 1, done)
    assert summary.made == 40 - summary.kept
    build(folder, tmp_path / "undisturbed")
    assert content_of(out) == content_of(tmp_path / "undisturbed")


def test_the_json_is_written_without_holding_it_in_memory(tmp_path):
    annotated = [{"mask_file": f"{n}.png", "target": f"thing {n}", "area": 3, "bbox": [1, 1, 2, 2]} for n in range(5)]
    images = [{"file_name": f"{z}.png", "height": 9, "width": 9, "annotations": annotated} for z in range(10)]
    record = {"group": "p", "images": images, "left_out": 0}
    path = tmp_path / "train.json"
    tracemalloc.start()
    counts = write_split(path, "train", lambda: iter([record] * 80), {}, lambda target: (1, [target] * 5))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert counts.sentences == 20_000
    assert path.stat().st_size > 2_000_000
    assert peak < 400_000
    assert len(json.loads(path.read_text())["annotations"]) == 4_000


def test_several_workers_write_the_same_bytes(tmp_path, discs_source):
    folder = discs_source(patients=4)
    build(folder, tmp_path / "one")
    summary = build(folder, tmp_path / "two", workers=2)
    assert summary.made == 16
    assert content_of(tmp_path / "one") == content_of(tmp_path / "two")


def test_a_missing_picture_is_made_again(tmp_path, discs_source):
    folder, out = discs_source(patients=3), tmp_path / "out"
    build(folder, out)
    whole = content_of(out)
    next((out / "train_mask").iterdir()).unlink()
    assert build(folder, out).made == 1
    assert content_of(out) == whole


def test_nothing_is_made_differently_without_saying_so(tmp_path, discs_source):
    folder, out = discs_source(patients=5), tmp_path / "out"
    build(folder, out)
    before = content_of(out)
    other = Settings(size=48, test=0.3, seed=1)
    with pytest.raises(SourceError, match="--overwrite"):
        build(folder, out, other)
    assert content_of(out) == before
    assert build(folder, out, other, overwrite=True).made == 20
    build(folder, tmp_path / "new", other)
    assert content_of(out) == content_of(tmp_path / "new")


def test_an_edited_review_counts_in_later_builds_and_leaves_no_old_files(tmp_path, discs_source):
    folder, out = discs_source(patients=5), tmp_path / "out"
    build(folder, out)
    review = out / "review.csv"
    text = review.read_text()
    review.write_text(re.sub("cell_cytoplasms,(.*),accept,", r"cell_cytoplasms,\1,drop,", text))
    with pytest.raises(SourceError, match="15 of 20 images"):
        build(folder, out)
    assert build(folder, out, overwrite=True).made == 15
    assert not [path for split in ("train", "test") for path in (out / f"{split}_mask").glob("*cytoplasm*")]
    assert {row["target"] for row in annotations(out, "train")["annotations"]} == {"nucleus"}


def test_what_the_source_no_longer_has_is_not_left_in_a_split_unsaid(tmp_path, discs_source):
    folder, out = discs_source(patients=4), tmp_path / "out"
    build(folder, out)
    before = content_of(out)
    # Described by patient, the same images get other names, and perhaps the other split.
    text = (folder / "biomedparse.yaml").read_text()
    text = text.replace("group: (p\\d+)_\n", "").replace("{image}", "{group:p[0-9]}_{image:[0-9]}")
    (folder / "biomedparse.yaml").write_text(text)
    with pytest.raises(SourceError, match=r"16 images .* --overwrite"):
        build(folder, out)
    assert content_of(out) == before
    assert build(folder, out, overwrite=True).made == 16
    assert build(folder, out).kept == 16
    build(folder, tmp_path / "new")
    assert content_of(out) == content_of(tmp_path / "new")


class CutOff(BaseException):
    """What ends a build as suddenly as a lost power line."""


@pytest.mark.parametrize("place", ["move_files", "remove_files"])
def test_a_build_cut_off_and_gone_on_with_differently_leaves_no_file_that_the_json_does_not_know(
    tmp_path, discs_source, monkeypatch, place
):
    folder, out = discs_source(patients=4), tmp_path / "out"
    other = Settings(size=48, test=0.7, seed=5)
    if place == "remove_files":
        build(folder, out)

    def cut_off(*_):
        raise CutOff

    monkeypatch.setattr(f"napari_biomedparse.harmonise.build.{place}", cut_off)
    with pytest.raises(CutOff):
        build(folder, out, overwrite=place == "remove_files", settings=other if place == "remove_files" else SMALL)
    monkeypatch.undo()
    build(folder, out, other, overwrite=True)
    build(folder, tmp_path / "undisturbed", other)
    assert content_of(out) == content_of(tmp_path / "undisturbed")


def test_targets_that_differ_in_capitals_only_are_refused(tmp_path, discs_source):
    folder, out = discs_source(patients=1), tmp_path / "out"
    build(folder, out)
    review = out / "review.csv"
    review.write_text(review.read_text().replace("cytoplasms,3,cytoplasm,", "cytoplasms,3,Nucleus,"))
    with pytest.raises(ReviewError, match="write both in the same way"):
        build(folder, out, overwrite=True)


def test_undecided_labels_stop_the_build_until_a_person_decides(tmp_path, discs_source):
    folder, out = discs_source(patients=2), tmp_path / "out"
    for path in (folder / "seg").glob("*cytoplasms.png"):
        path.rename(path.with_name(path.name.replace("cell_cytoplasms", "gizmo")))
    with pytest.raises(ReviewError, match="'gizmo'"):
        build(folder, out)
    review = Review(out / "review.csv")
    assert not (out / "train").exists()
    (out / "review.csv").write_text(
        (out / "review.csv")
        .read_text()
        .replace("gizmo,6,,,nothing,0.0,review,", "gizmo,6,My Gizmo,,,,accept,small wheel")
    )
    build(folder, out)
    rows = [row for split in ("train", "test") for row in annotations(out, split)["annotations"]]
    gizmo = next(row for row in rows if row["target"] == "My Gizmo")
    sentences = [sentence["raw"] for sentence in gizmo["sentences"]]
    assert sentences[0] == "my gizmo in cell fluorescence microscopy"
    assert "small wheel" in sentences
    assert gizmo["category_id"] == 16
    assert review.undecided({"gizmo": 1})


def test_a_bad_file_is_reported_and_does_not_stop_the_rest(tmp_path, discs_source):
    folder, out = discs_source(patients=3), tmp_path / "out"
    (folder / "img/p0_0.png").write_bytes(b"no picture")
    save(folder / "seg/p1_1_Nuclei.png", np.zeros((7, 9), np.uint8))
    summary = build(folder, out)
    assert (summary.made, summary.failed) == (10, 2)
    listed = (out / "failed.csv").read_text()
    assert "p0_0.png" in listed
    assert "differ in size" in listed
    assert len(read_split(out, "train")) + len(read_split(out, "test")) == 10
    save(folder / "img/p0_0.png", imread(folder / "img/p1_0.png"))
    save(folder / "seg/p1_1_Nuclei.png", imread(folder / "seg/p1_2_Nuclei.png"))
    summary = build(folder, out)
    assert (summary.made, summary.kept, summary.failed) == (2, 10, 0)
    assert not (out / "failed.csv").exists()


def test_a_mask_whose_background_is_not_a_number_is_named(tmp_path, discs_source):
    folder, out = discs_source(patients=3), tmp_path / "out"
    files = [{"files": "seg/{image}_{label}.tif"}]
    describe(folder, modality="fluorescence microscopy", site="cell", images="img/{image}.png", masks=files)
    for path in sorted((folder / "seg").glob("*_Nuclei.png")):
        mask = (imread(path) > 0).astype(np.float32)
        if path.name.startswith("p0_"):
            mask[mask == 0] = np.nan
        imsave(path.with_suffix(".tif"), mask, check_contrast=False)
    summary = build(folder, out)
    assert (summary.made, summary.failed) == (8, 4)
    assert "has NaN or infinite values" in (out / "failed.csv").read_text()


def test_other_folders_are_left_alone(tmp_path, discs_source):
    folder, out = discs_source(patients=1), tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(SourceError, match=r"thesis\.txt"):
        build(folder, out)
    with pytest.raises(SourceError, match="lies in the source"):
        build(folder, folder / "out")


@pytest.mark.parametrize("files", ["one file", "a file for each"])
def test_instances_are_kept_with_their_numbers(tmp_path, histology, files):
    pixels, _, numbers = histology
    numbers = numbers.astype(np.int32)
    folder = describe(
        tmp_path / "cells",
        **{"modality": "pathology", "site": "tissue", "images": "{image}/image.png"},
        masks=[{"files": "{image}/masks/*.png", "label": "nuclei", "instances": True}],
    )
    save(folder / "a/image.png", pixels)
    if files == "one file":
        save(folder / "a/masks/all.png", numbers.astype(np.uint16))
    else:
        for number in np.unique(numbers)[1:]:
            save(folder / f"a/masks/{number:04d}.png", ((numbers == number) * 255).astype(np.uint8))
    build(folder, tmp_path / "out", Settings(size=None, test=0))
    (example,) = read_split(tmp_path / "out", "train")
    assert (example.read_mask("nucleus") == (numbers > 0)).all()
    found = example.read_instances("nucleus")
    assert found.max() == len(np.unique(numbers)) - 1
    assert all(len(np.unique(found[numbers == number])) == 1 for number in np.unique(numbers))
    assert imread(tmp_path / "out/train_instances" / example.masks["nucleus"].name).dtype == np.uint16
    assert json.loads((tmp_path / "out/dataset.json").read_text())["instances"]


def test_a_data_set_in_the_layout_can_be_brought_to_another_size_with_its_own_splits(tmp_path, discs_source):
    build(discs_source(), tmp_path / "first")
    content = {
        **{"modality": "fluorescence microscopy", "site": "cell"},
        "images": "{split}/{image}_*_*.png",
        "masks": [{"files": "{split}_mask/{image}_*_*_{label}.png"}],
    }
    build(describe(tmp_path / "first", **content), tmp_path / "second", Settings(size=48))
    for split in ("train", "test"):
        first, second = (read_split(tmp_path / name, split) for name in ("first", "second"))
        assert len(first) == len(second) > 0
        assert [list(e.masks) for e in first] == [list(e.masks) for e in second]
    assert json.loads((tmp_path / "second/dataset.json").read_text())["split"] == "the source's own"
