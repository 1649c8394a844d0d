"""Tables from the figures of single masks."""

import numpy as np
import pytest

from napari_biomedparse.engine.shape import Shape
from napari_biomedparse.evaluation.instances import ObjectCounts
from napari_biomedparse.evaluation.paraphrases import PhraseScore, largest_changes, phrase_rows, phrasings
from napari_biomedparse.evaluation.published import published_score, published_scores
from napari_biomedparse.evaluation.scores import IMAGE_COLUMNS, MaskScore, TargetKey, image_rows
from napari_biomedparse.evaluation.tables import (
    MODALITY_COLUMNS,
    SHAPE_COLUMNS,
    TARGET_COLUMNS,
    TASK_COLUMNS,
    modality_rows,
    shape_rows,
    target_rows,
    task_rows,
)

LIVER = TargetKey("A", "CT", "abdomen", "liver")
OTHER_LIVER = TargetKey("B", "CT", "abdomen", "liver")
EDEMA = TargetKey("A", "MRI-FLAIR", "brain", "edema")
UNKNOWN = TargetKey("A", "MRI", "knee", "bone")
SHAPE = Shape(0.5, 0.9, 0.7)


def score(key=LIVER, dice=0.8, assd=2.0, prompt=None, shape=SHAPE, objects=None, areas=(100, 100, 80)):
    iou = dice / (2 - dice)
    return MaskScore(key, "i.png", prompt or key.target, dice, iou, 0.5, assd, 0.9, *areas, shape, objects)


def test_a_row_per_target_begins_with_the_agreed_columns():
    assert ",".join(TARGET_COLUMNS).startswith(
        "dataset,modality,site,target,images,dice_mean,dice_median,iou_mean,assd_mean,box_iou_mean,"
    )
    scores = [
        score(dice=1.0, assd=0.0, areas=(300, 300, 300)),
        score(dice=0.8, assd=3.0, areas=(100, 100, 80)),
        score(dice=0.0, assd=None, areas=(100, 0, 0)),
        score(OTHER_LIVER),
        score(prompt="hepar"),
    ]
    rows = target_rows(scores, {LIVER: ("otsu_dark", 0.123456)}, {LIVER: 0.02})
    assert all(tuple(row) == TARGET_COLUMNS for row in rows)
    assert [(row["dataset"], row["prompt"], row["images"]) for row in rows] == [
        ("A", "liver", 3), ("B", "liver", 1), ("A", "hepar", 1),
    ]  # fmt: skip
    row = rows[0]
    assert row["dice_mean"] == 0.6
    assert row["dice_median"] == 0.8
    assert row["iou_mean"] == pytest.approx((1 + 2 / 3) / 3, abs=1e-4)
    assert (row["assd_mean"], row["assd_undefined"]) == (1.5, 1)
    assert [row[f"precision_iou_0.{n}"] for n in range(5, 10)] == pytest.approx([2 / 3] * 2 + [1 / 3] * 3, abs=1e-4)
    assert row["dice_pooled"] == pytest.approx(760 / 900, abs=1e-4)
    assert row["iou_pooled"] == pytest.approx(380 / 520, abs=1e-4)
    assert (row["published_dice"], row["published_images"]) == (0.9695, 2324)
    assert (row["baseline_dice"], row["baseline_method"], row["paraphrase_change"]) == (0.1235, "otsu_dark", 0.02)
    assert (row["images_with_objects"], row["ap_50"]) == (0, "")
    assert (rows[1]["baseline_dice"], rows[1]["paraphrase_change"]) == ("", "")


def test_separate_objects_are_averaged_over_images_and_together():
    counts = [ObjectCounts(1, 1, (1,) * 10), ObjectCounts(9, 9, (0,) * 10)]
    (row,) = target_rows([*(score(objects=each) for each in counts), score()])
    assert row["images_with_objects"] == 2
    assert row["ap_50"] == row["ap_50_95"] == row["f1_50"] == 0.5
    assert row["f1_50_pooled"] == 0.1


def test_tasks_go_over_all_sets():
    rows = task_rows([score(dice=0.4), score(OTHER_LIVER, dice=0.8), score(UNKNOWN)])
    assert all(tuple(row) == TASK_COLUMNS for row in rows)
    assert [(row["target"], row["images"], row["published_dice"]) for row in rows] == [
        ("liver", 2, 0.9695),
        ("bone", 1, ""),
    ]
    assert rows[0]["dice_mean"] == 0.6


def test_modalities_are_averaged_over_masks_and_over_targets():
    scores = [score(dice=0.6), score(OTHER_LIVER, dice=1.0), score(EDEMA, dice=0.3), score(UNKNOWN, dice=0.9)]
    rows = {row["modality"]: row for row in modality_rows([*scores, score(UNKNOWN, dice=0.9)])}
    assert all(tuple(row) == MODALITY_COLUMNS for row in rows.values())
    assert list(rows) == ["all", "CT", "MRI"]
    mri = rows["MRI"]
    assert (mri["targets"], mri["images"], mri["dice_mean"], mri["dice_target_mean"]) == (2, 3, 0.7, 0.6)
    assert (mri["published_targets"], mri["published_dice"]) == (1, 0.7633)
    everything = rows["all"]
    assert everything["published_images"] == 2324 + 5626
    assert everything["published_dice"] == pytest.approx((2324 * 0.9695 + 5626 * 0.7633) / 7950, abs=1e-4)
    assert everything["published_dice_target_mean"] == pytest.approx((0.9695 + 0.7633) / 2, abs=1e-4)


def test_shapes_in_tenths_with_their_correlation():
    straight = [score(LIVER, x, shape=Shape(x, 1.0, 1 - x)) for x in (0.05, 0.1, 0.55, 0.6)]
    rows = shape_rows([*straight, score(EDEMA, 0.5, shape=None)])
    assert all(tuple(row) == SHAPE_COLUMNS for row in rows)
    box = [row for row in rows if row["measure"] == "box_ratio"]
    assert [(row["from"], row["to"]) for row in box] == [(0, 0.1), (0.1, 0.2), (0.5, 0.6), (0.6, 0.7)]
    assert {row["images"] for row in box} == {1}
    assert {row["correlation_images"] for row in box} == {1.0}
    assert {row["correlation_targets"] for row in box} == {""}
    (convex,) = (row for row in rows if row["measure"] == "convex_ratio")
    assert (convex["from"], convex["images"], convex["correlation_images"]) == (0.9, 4, "")
    inertia = [row for row in rows if row["measure"] == "inverse_rotational_inertia"]
    assert inertia[0]["correlation_images"] == -1.0


def test_rows_of_single_masks_leave_empty_what_is_not_defined():
    objects = ObjectCounts(2, 3, (1,) * 10)
    full, bare = image_rows([score(objects=objects), score(assd=None, shape=None)])
    assert tuple(full) == tuple(bare) == IMAGE_COLUMNS
    assert (full["objects_true"], full["objects_found"], full["f1_50"], full["ap_50"]) == (2, 3, 0.4, 0.25)
    assert (full["box_ratio"], full["assd"]) == (0.5, 2.0)
    assert bare["assd"] == bare["convex_ratio"] == bare["objects_true"] == bare["f1_50"] == ""


def test_phrasings_and_their_largest_change():
    nucleus = phrasings("nucleus", "pathology", "tissue")
    assert nucleus[0] == "nucleus"
    assert {"nuclei", "cell nuclei"} <= set(nucleus)
    # A tumour of the brain is no tumour of the breast.
    brain, breast = (phrasings("tumor", *where) for where in (("MRI", "brain"), ("ultrasound", "breast")))
    assert brain[0] == breast[0] == "tumor"
    assert {"brain tumor", "tumors"} <= set(brain)
    assert {"breast tumor", "tumors"} <= set(breast) - {"brain tumor"}
    assert "breast tumor" not in brain
    assert phrasings("flux  Capacitor", "CT", "chest") == ["flux capacitor"]
    given = [("liver", 0.9), ("liver", 0.7), ("hepar", 0.8), ("hepar", 0.74), ("livers", 0.82), ("livers", 0.8)]
    scores = [PhraseScore(LIVER, phrase, dice) for phrase, dice in given]
    assert [(row["phrase"], row["images"], row["change"]) for row in phrase_rows(scores)] == [
        ("liver", 2, 0.0), ("hepar", 2, -0.03), ("livers", 2, 0.01),
    ]  # fmt: skip
    assert largest_changes(scores) == {LIVER: pytest.approx(0.03)}


def test_the_published_scores_are_complete():
    scores = published_scores()
    assert len(scores) == 112
    assert sum(score.images for score in scores.values()) == 98864
    assert all(0 < score.dice_mean < 1 and score.assd_mean > 0 for score in scores.values())
    assert published_score("X-Ray", "chest", "Left  Lung") == scores["x-ray", "chest", "left lung"]
    assert published_score("X-Ray", "knee", "left lung") is None
    assert np.mean([score.dice_mean for score in scores.values()]) == pytest.approx(0.83, abs=0.02)
