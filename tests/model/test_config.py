"""Configurations: the published sizes, refusal of sizes that do not fit, the way to JSON and back."""

import dataclasses
import json

import pytest
import torch

from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.config import PRESETS, ModelConfig, preset


def parameters(config: ModelConfig) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in BiomedParse(config).parameters())


def test_published_preset_has_the_published_number_of_parameters():
    # The published checkpoint's text-prompt path: 341 M (its state dict without BERT and spatial prompts).
    assert parameters(preset("biomedparse-v1")) == pytest.approx(341e6, rel=0.005)


def test_embedded_preset_stays_within_ten_million_parameters():
    assert parameters(preset("mini")) <= 10_000_000


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json(name):
    config = preset(name)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"input_size": 100}, "input_size"),
        ({"input_size": 0}, "input_size"),
        ({"dim": 66}, "dim"),
        ({"dim": 40}, "norm_groups"),
        ({"cell_zoom": 0}, "cell_zoom"),
        ({"cell_diameter": -5}, "cell_diameter"),
        ({"cell_diameter": None}, "which size nucleus"),
        ({"absence": 1.5}, "absence must be a probability"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change, word):
    with pytest.raises(ValueError, match=word):
        dataclasses.replace(preset("mini"), **change)


@pytest.mark.parametrize("broken", [{}, {"name": "x", "input_size": 64, "dim": 32, "colour": 1}, {"mask_decoder": 3}])
def test_what_is_no_configuration_is_refused(broken):
    with pytest.raises(ValueError, match="not a model configuration"):
        ModelConfig.from_dict(broken)


def test_unknown_preset_names_the_known_ones():
    with pytest.raises(ValueError, match="mini"):
        preset("huge")
