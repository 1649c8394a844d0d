"""Data sets in, tables and plots out, with the embedded model."""

import csv
import shutil

import numpy as np
import pytest
from skimage.io import imread, imsave
from typer.testing import CliRunner

from napari_biomedparse import Predictor
from napari_biomedparse.cli import app
from napari_biomedparse.engine.prompts import PromptError
from napari_biomedparse.evaluation.overlap import dice
from napari_biomedparse.evaluation.run import Evaluation, Measures
from napari_biomedparse.training.dataset import DataError, read_split
from tests.conftest import DATA
from tests.evaluation.rows import rows

SETS = [DATA / "DSB2018-Fluorescence", DATA / "DSB2018-HE"]


def run(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments), "--device", "cpu"])


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_everything_at_once(tmp_path):
    done = run(
        *SETS, "--output", tmp_path / "out/r.csv", "--images", tmp_path / "i.csv",
        *("--paraphrases", "--presence", "--recognition", "--baselines"),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "roc_auc" in done.output
    rows = {row["dataset"]: row for row in table(tmp_path / "out/r.csv")}
    assert set(rows) == {folder.name for folder in SETS}
    cells = rows["DSB2018-Fluorescence"]
    assert (cells["target"], cells["prompt"], cells["images"], cells["site"]) == ("nucleus", "nucleus", "1", "cell")
    assert float(cells["dice_mean"]) > 0.9
    assert float(cells["f1_50"]) > 0.8
    assert float(cells["ap_50_95"]) < float(cells["ap_50"])
    assert float(cells["assd_mean"]) < 3
    assert (cells["precision_iou_0.5"], cells["published_dice"]) == ("1.0", "")
    assert cells["baseline_method"] == "otsu_bright"
    assert float(cells["baseline_dice"]) > 0.8
    assert float(cells["paraphrase_change"]) < 0.05
    (single,) = (row for row in table(tmp_path / "i.csv") if row["dataset"] == "DSB2018-Fluorescence")
    assert (single["dice"], single["objects_true"]) == (cells["dice_mean"], "34")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    tables = ("tasks", "modalities", "shapes", "paraphrases", "presence", "recognition", "baselines")
    assert names == {"r.csv", *(f"r.{name}.csv" for name in tables)}
    phrases = [row["phrase"] for row in table(tmp_path / "out/r.paraphrases.csv")]
    assert {"nucleus", "nuclei"} <= set(phrases)
    assert {row["modality"] for row in table(tmp_path / "out/r.modalities.csv")} == {
        *("all", "fluorescence microscopy", "pathology"),
    }
    # Two images, one target each, and for each four objects of other modalities and two nonsense words.
    first = table(tmp_path / "out/r.presence.csv")[0]
    assert (first["present"], first["absent"]) == ("2", "12")
    assert [row["images"] for row in table(tmp_path / "out/r.recognition.csv")][:2] == ["2", "2"]


def small_set(folder):
    """Copy a set with a corner of its image."""
    shutil.copytree(SETS[0], folder)
    for path in folder.rglob("*.png"):
        imsave(path, imread(path)[:96, 100:196], check_contrast=False)
    return folder


def test_the_table_on_screen_can_be_read_and_older_tables_do_not_stay(tmp_path):
    folder = small_set(tmp_path / "Cells [small, and with a name that is long] of a microscope")
    for name in ("presence", "tasks", "mine"):
        (tmp_path / f"v1.0.{name}.csv").write_text("of an earlier run")
    done = run(folder, "--output", tmp_path / "v1.0")
    assert done.exit_code == 0, done.output
    head, row = (next(line for line in done.stdout.splitlines() if word in line) for word in ("dataset", "[small"))
    assert head.split() == ["dataset", "target", "images", "Dice", "IoU", "object", "F1"]
    (figures,) = table(tmp_path / "v1.0")
    assert row.split()[-5:-2] == ["nucleus", "1", f"{float(figures['dice_mean']):.3f}"]
    assert row.strip().startswith(f"{folder.name} ")
    assert "v1.0.presence.csv was of an earlier run and is removed" in done.stderr
    tables = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert tables == {"v1.0", "v1.0.mine.csv", *(f"v1.0.{name}.csv" for name in ("tasks", "modalities", "shapes"))}
    assert table(tmp_path / "v1.0.tasks.csv")[0]["target"] == "nucleus"


def test_where_figures_cannot_go_is_said_before_anything_is_measured(tmp_path):
    for options in (["--output", tmp_path], ["--images", tmp_path], ["--plots", __file__]):
        refused = run(SETS[0], *options)
        assert refused.exit_code == 2
        assert options[0] in refused.stderr
    refused = run(SETS[0], "--output", tmp_path / "r.csv", "--images", tmp_path / "r.tasks.csv")
    assert refused.exit_code == 2
    assert "give --images another name" in refused.stderr
    assert not list(tmp_path.iterdir())


def test_baselines_of_a_broken_train_split_are_refused_before_anything_is_measured(predictor, tmp_path):
    folder = small_set(tmp_path / "Cells")
    for part in ("", "_mask"):
        shutil.copytree(folder / f"test{part}", folder / f"train{part}")
    next((folder / "train").iterdir()).unlink()
    assert Evaluation(predictor, [folder]).examples
    with pytest.raises(DataError, match="has no image"):
        Evaluation(predictor, [folder], measures=Measures(baselines=True))


def test_no_figures_without_a_readable_image(tmp_path):
    folder = small_set(tmp_path / "Cells")
    next((folder / "test").iterdir()).write_bytes(b"no image")
    done = run(folder, "--output", tmp_path / "r.csv")
    assert done.exit_code == 2
    assert "No image could be measured" in done.stderr
    assert not (tmp_path / "r.csv").exists()


def test_the_figures_are_those_of_the_masks(predictor, fluorescence):
    pixels, truth, _ = fluorescence
    (row,) = rows(predictor, SETS[0], "nuclei")
    (mask,) = predictor.segment(pixels, ["nuclei"])
    assert row["dice_mean"] == round(dice(mask.mask(), truth), 4)
    assert row["prompt"] == "nuclei"


def test_an_image_is_encoded_once_for_all_that_is_asked(predictor, tmp_path, monkeypatch):
    folder = small_set(tmp_path / "Small")
    tiles = []
    encode = predictor.model.encode_image
    monkeypatch.setattr(predictor.model, "encode_image", lambda images: tiles.append(len(images)) or encode(images))
    fresh = Predictor(predictor.model, "cpu", table=predictor.table)
    names = [name for listed in predictor.table.lists.values() for name in listed]
    (example,) = read_split(folder, "test")
    fresh.segment(example.read_image(), [*names, "purple bicycle"])
    once = len(tiles)
    asked = Measures(("{target}", "nuclei"), paraphrases=True, presence=True, recognition=True, baselines=True)
    figures = Evaluation(predictor, [folder], "test", asked).measure(example)
    assert {score.prompt for score in figures.scores} == {"nucleus", "nuclei"}
    assert len(figures.recognised) == 2
    assert len(tiles) == 2 * once


def test_words_of_the_image_are_filled_in(predictor):
    (row,) = rows(predictor, SETS[1], "{target} in {site} {modality}")
    assert row["prompt"] == "nucleus in tissue pathology"
    assert row["dice_mean"] > 0.7
    for prompt in ("{organ}", "{target", "{0}", "{target.size}"):
        with pytest.raises(PromptError, match="no other braces"):
            Evaluation(predictor, SETS, "test", Measures((prompt,)))


def test_what_cannot_be_evaluated_is_said(predictor, tmp_path):
    twice = tmp_path / SETS[0].name
    (twice / "test").mkdir(parents=True)
    with pytest.raises(DataError, match=f"Several data sets are called {twice.name}"):
        Evaluation(predictor, [SETS[0], twice])
    with pytest.raises(DataError, match="no image with a mask in the test split"):
        Evaluation(predictor, [twice])
    assert Evaluation(predictor, [SETS[1], twice]).without_masks == [twice]
    assert run(SETS[0], "--split", "validation").exit_code == 2
    refused = run(SETS[0], "--prompt", "{organ}")
    assert refused.exit_code == 2
    assert "{target}, {site} and {modality}" in refused.stderr


def test_a_bad_image_is_named_and_the_others_are_measured(tmp_path):
    folder = tmp_path / "Cells"
    shutil.copytree(SETS[0], folder)
    (good,) = (folder / "test").iterdir()
    (mask,) = (folder / "test_mask").iterdir()
    for name in ("broken", "small"):
        for path in (good, mask):
            shutil.copy(path, path.with_name(path.name.replace("449f41710769", name)))
    (folder / "test" / good.name.replace("449f41710769", "broken")).write_bytes(b"no image")
    imsave(mask.with_name(mask.name.replace("449f41710769", "small")), np.ones((9, 8), np.uint8), check_contrast=False)
    done = run(folder, "--output", tmp_path / "r.csv", "--images", tmp_path / "i.csv")
    assert done.exit_code == 2
    assert "broken_fluorescence" in done.stderr
    assert "9 x 8 but its image" in done.stderr
    assert [row["images"] for row in table(tmp_path / "r.csv")] == ["1"]
    assert [row["image"] for row in table(tmp_path / "i.csv")] == [good.name]


def test_plots_are_written(tmp_path):
    pytest.importorskip("matplotlib")
    done = run(SETS[0], "--plots", tmp_path / "plots", "--presence")
    assert done.exit_code == 0, done.output
    assert {path.stem for path in (tmp_path / "plots").iterdir()} == {
        *("dice_per_target", "dice_by_shape", "presence_roc"),
    }
