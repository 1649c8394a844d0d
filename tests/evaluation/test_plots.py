"""Pictures that show what they should."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from skimage.io import imread

from napari_biomedparse.evaluation.figures import Figures
from napari_biomedparse.evaluation.plots import check_matplotlib, write_plots
from napari_biomedparse.evaluation.presence import PresenceScore
from tests.evaluation.test_tables import EDEMA, LIVER, UNKNOWN, score

pytest.importorskip("matplotlib")


def test_plots_name_targets_modalities_and_published_scores(tmp_path):
    scores = [score(key, dice) for key in (LIVER, EDEMA, UNKNOWN) for dice in (0.3, 0.7, 0.9)]
    presence = [PresenceScore("A", "CT", "i.png", "p", kind, s) for kind, s in [("present", 0.9), ("object", 0.1)]]
    paths = write_plots(tmp_path / "plots", Figures(scores=scores, presence=presence))
    names = ("dice_per_target", "dice_by_shape", "presence_roc")
    assert {path.name for path in paths} == {f"{name}.{ending}" for name in names for ending in ("png", "svg")}
    for path in paths:
        if path.suffix == ".png":
            assert np.ptp(imread(path)) == 255
    by_target = (tmp_path / "plots/dice_per_target.svg").read_text()
    assert "liver (abdomen CT, A), n = 3" in by_target
    assert "published mean" in by_target
    assert "inverse rotational inertia" in (tmp_path / "plots/dice_by_shape.svg").read_text()
    roc = (tmp_path / "plots/presence_roc.svg").read_text()
    assert "objects of other images, area 1.000" in roc
    assert "nonsense" not in roc


def test_no_curve_without_a_presence_test(tmp_path):
    paths = write_plots(tmp_path, Figures(scores=[score(UNKNOWN, shape=None)]))
    assert {path.stem for path in paths} == {"dice_per_target", "dice_by_shape"}
    assert "published" not in (tmp_path / "dice_per_target.svg").read_text()


def test_one_name_at_two_sites_is_two_targets(tmp_path):
    elsewhere = replace(LIVER, site="chest")
    write_plots(tmp_path, Figures(scores=[score(LIVER), score(LIVER), score(elsewhere)]))
    drawn = (tmp_path / "dice_per_target.svg").read_text()
    assert "liver (abdomen CT, A), n = 2" in drawn
    assert "liver (chest CT, A), n = 1" in drawn


def test_a_curve_of_an_earlier_evaluation_does_not_stay(tmp_path):
    presence = [PresenceScore("A", "CT", "i.png", "p", kind, s) for kind, s in [("present", 0.9), ("object", 0.1)]]
    write_plots(tmp_path, Figures(scores=[score()], presence=presence))
    paths = write_plots(tmp_path, Figures(scores=[score()]))
    assert set(paths) == set(tmp_path.iterdir())


def test_missing_matplotlib_is_said(monkeypatch):
    check_matplotlib()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ValueError, match=r"pip install 'napari-biomedparse\[evaluate\]'"):
        check_matplotlib()
