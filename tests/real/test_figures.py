"""The figures the embedded model must reach, on the shared data's test splits."""

import csv

import pytest
from typer.testing import CliRunner

from napari_biomedparse.cli import app
from tests.evaluation.rows import rows

WORDS = ["nuclei", "nucleus", "cell nuclei", "Nuclei "]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("dataset", "least", "objects"), [("DSB2018-Fluorescence", 0.93, 0.90), ("DSB2018-HE", 0.86, 0.75)]
)
def test_nuclei_by_every_name(predictor, shared, dataset, least, objects):
    named = rows(predictor, shared / "data/pack" / dataset, *WORDS)
    scores = {row["prompt"]: row["dice_mean"] for row in named}
    assert set(scores) == set(WORDS)
    assert scores["nuclei"] >= least
    assert all(float(row["f1_50"]) >= objects for row in named)
    assert all(abs(score - scores["nuclei"]) <= 0.02 for score in scores.values()), scores


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("dataset", "target", "least"),
    [
        ("CXR-Lungs", "lung", 0.94),
        ("HC18", "fetal head", 0.94),
        ("AxonDeepSeg-SEM", "axon", 0.85),
        ("AxonDeepSeg-SEM", "myelin", 0.80),
        ("MSD-Hippocampus", "hippocampus", 0.87),
        ("Sunnybrook-Cardiac", "left heart ventricle", 0.85),
        ("HyperKvasir-Polyp", "polyp", 0.75),
        ("HRF", "vessel", 0.72),
        ("BUSI", "tumor", 0.78),
    ],
)
def test_other_targets_are_found(predictor, shared, dataset, target, least):
    (row,) = (row for row in rows(predictor, shared / "data/pack" / dataset) if row["target"] == target)
    assert row["dice_mean"] > least


@pytest.mark.timeout(900)
def test_other_words_change_nothing_and_absent_objects_are_refused(shared, tmp_path):
    names = (
        "AxonDeepSeg-SEM",
        "BUSI",
        "IDRiD-OpticDisc",
        "CXR-Lungs",
        "HC18",
        "HRF",
        "DSB2018-HE",
        "ISIC2017",
        "MSD-Spleen",
    )
    sets = [str(shared / "data/pack" / name) for name in names]
    arguments = ["evaluate", *sets, "--output", str(tmp_path / "results.csv"), "--presence", "--recognition"]
    done = CliRunner().invoke(app, [*arguments, "--paraphrases", "--device", "cpu"])
    assert done.exit_code == 0, done.output
    with (tmp_path / "results.csv").open(encoding="utf-8") as file:
        assert all(float(row["paraphrase_change"]) <= 0.02 for row in csv.DictReader(file))
    with (tmp_path / "results.presence.csv").open(encoding="utf-8") as file:
        everything = next(row for row in csv.DictReader(file) if row["modality"] == row["absent_kind"] == "all")
    assert float(everything["roc_auc"]) >= 0.95
    assert float(everything["absent_below_limit"]) >= 0.95
    with (tmp_path / "results.recognition.csv").open(encoding="utf-8") as file:
        guessed = next(row for row in csv.DictReader(file) if row["dataset"] == "all" and row["told"] == "no")
    assert float(guessed["modality_accuracy"]) >= 0.95
    assert float(guessed["f1"]) >= 0.80
