"""The figures the embedded model must reach, on the shared data's test splits."""

import pytest

from napari_biomedparse.evaluation.run import evaluate_datasets

WORDS = ["nuclei", "nucleus", "cell nuclei", "Nuclei "]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("dataset", "least"), [("DSB2018-Fluorescence", 0.88), ("DSB2018-HE", 0.70)])
def test_nuclei_by_every_name(predictor, shared, dataset, least):
    rows = list(evaluate_datasets(predictor, [shared / "data/pack" / dataset], "test", WORDS))
    scores = {row["prompt"]: row["dice_mean"] for row in rows}
    assert set(scores) == set(WORDS)
    assert scores["nuclei"] >= least
    assert all(abs(score - scores["nuclei"]) <= 0.02 for score in scores.values()), scores


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("dataset", "target"),
    [("CXR-Lungs", "lung"), ("HC18", "fetal head"), ("AxonDeepSeg-SEM", "myelin"), ("MSD-Hippocampus", "hippocampus")],
)
def test_other_targets_are_answered(predictor, shared, dataset, target):
    rows = list(evaluate_datasets(predictor, [shared / "data/pack" / dataset], "test"))
    (row,) = (row for row in rows if row["target"] == target)
    assert row["dice_mean"] > 0.5
