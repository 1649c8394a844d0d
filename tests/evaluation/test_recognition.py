"""Objects found against objects annotated."""

from pathlib import Path

import numpy as np
import pytest

from napari_biomedparse import ObjectMask
from napari_biomedparse.engine.recognition import Finding, Recognition
from napari_biomedparse.evaluation.recognition import RECOGNITION_COLUMNS, recognise_image, recognition_rows
from napari_biomedparse.ontology import ModalityError, RecognitionTable
from napari_biomedparse.training.dataset import Example
from napari_biomedparse.training.kinds import family, is_family, list_of

LISTS = {"X-Ray-Chest": ("left lung", "right lung", "tumor"), "X-Ray-Hand": ("tumor",), "CT-Chest": ("nodule",)}
PIXELS = np.ones((2, 2), bool)


class Stub:
    """Finds the given objects; None cannot be guessed."""

    def __init__(self, told, guessed):
        self.table = RecognitionTable(LISTS)
        self._told, self._guessed = told, guessed

    def recognize(self, encoded, modality):
        if modality is None and self._guessed is None:
            raise ModalityError("no idea")
        name, found = (modality, self._told) if modality else self._guessed
        findings = [Finding(ObjectMask(f, PIXELS.astype(np.float32)), 1.0, "found", PIXELS) for f in found]
        findings.append(Finding(ObjectMask("heart", PIXELS.astype(np.float32)), 0.0, "improbable", PIXELS))
        return Recognition(name, {} if modality else {name: 1.0}, tuple(findings))


def image(modality="X-Ray", site="chest", name="a.png"):
    return Example("Set", Path(name), modality, site, {})


def recognised(told, guessed, shown, judged=("left lung", "right lung", "lung")):
    return recognise_image(Stub(told, guessed), None, image(), shown, judged)


def test_counts_by_hand():
    told, guessed = recognised(["left lung", "tumor"], ("X-Ray-Hand", ["tumor"]), ["left lung", "right lung", "lung"])
    # "lung" is on no list; the tumour may well be there, as the set annotates none.
    assert (told.annotated, told.found, told.right, told.unjudged) == (2, 2, 1, 1)
    assert told.modality_right
    assert told.list_right
    assert told.f1 == 0.5
    assert (guessed.modality_right, guessed.list_right, guessed.right) == (True, False, 0)
    _, none = recognised([], None, ["left lung"])
    assert (none.modality, none.modality_right, none.found) == ("", False, 0)
    assert recognise_image(Stub([], None), None, image("OCT", "retinal"), [], []) == []


def test_rows_by_set_told_and_guessing():
    results = [
        *recognised(["left lung", "right lung"], ("X-Ray-Chest", ["left lung"]), ["left lung", "right lung"]),
        *recognised(["tumor", "left lung"], ("CT-Chest", ["nodule"]), ["left lung"], ["left lung"]),
    ]
    rows = recognition_rows(results)
    assert all(tuple(row) == RECOGNITION_COLUMNS for row in rows)
    assert [(row["dataset"], row["told"]) for row in rows] == [
        ("all", "yes"), ("all", "no"), ("Set", "yes"), ("Set", "no"),
    ]  # fmt: skip
    told, guessed = rows[:2]
    assert (told["precision"], told["recall"], told["f1"]) == (0.75, 1, pytest.approx(6 / 7, abs=1e-4))
    assert told["f1_image_mean"] == pytest.approx((1 + 2 / 3) / 2, abs=1e-4)
    assert told["precision_judged"] == told["f1_judged"] == 1
    assert (guessed["modality_accuracy"], guessed["list_accuracy"]) == (0.5, 0.5)
    assert (guessed["precision"], guessed["recall"]) == (0.5, pytest.approx(1 / 3, abs=1e-4))


def test_which_list_an_image_belongs_to():
    table = RecognitionTable.published()
    assert [
        list_of(image(modality, site), table)
        for modality, site in [
            *(("X-Ray", "chest"), ("CT", "lung"), ("MRI", "heart"), ("MRI-T1-Gd", "brain"), ("endoscope", "colon")),
            *(("pathology", "breast"), ("ultrasound", "heart"), ("CT", "colon"), ("fundus", "retinal")),
        ]
    ] == [
        *("X-Ray-Chest", "CT-Chest", "MRI-Cardiac", "MRI-T1-Gd-Brain", "Endoscopy"),
        *("Pathology", "Ultrasound-Cardiac", None, "Fundus"),
    ]
    assert family("MRI-FLAIR") == family("MRI") == "MRI"
    assert family("X-Ray") == "X-Ray"
    assert is_family("MRI-T1-Gd-Brain", image("MRI", "heart"))
    assert is_family("Endoscopy", image("endoscope", "colon"))
    assert not is_family("CT-Chest", image())
