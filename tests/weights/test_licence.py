"""The licence of the published weights: asked once, before anything is downloaded."""

import pytest

from napari_biomedparse import CheckpointError, Predictor
from napari_biomedparse.model.config import PRESETS
from napari_biomedparse.weights import licence, locate
from napari_biomedparse.weights.licence import LicenceError
from napari_biomedparse.weights.sources import SOURCES
from tests.weights.hub import Hub, isolate

NAME = "biomedparse-v1"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    hub = Hub(b"weights")
    isolate(monkeypatch, tmp_path, hub.address)
    yield hub
    hub.stop()


def test_every_preset_has_a_licence():
    assert SOURCES.keys() == PRESETS.keys()


def test_nothing_is_downloaded_without_the_licence(hub):
    with pytest.raises(LicenceError) as refused:
        Predictor.from_pretrained(NAME, "cpu")
    for words in ("CC BY-NC-SA 4.0", "not for clinical use", f"models download {NAME}", "--accept-licence"):
        assert words in str(refused.value)
    assert not hub.requests


def test_an_acceptance_is_remembered(hub, tmp_path):
    assert not licence.accepted(NAME)
    licence.accept(NAME)
    assert licence.accepted(NAME)
    assert "CC BY-NC-SA 4.0" in (tmp_path / "config/licences.json").read_text()
    assert locate(NAME).read_bytes() == b"weights"


def test_a_variable_accepts_for_machines(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_BIOMEDPARSE_ACCEPT_LICENCE", "another-model")
    with pytest.raises(LicenceError):
        locate(NAME)
    monkeypatch.setenv("NAPARI_BIOMEDPARSE_ACCEPT_LICENCE", NAME)
    assert locate(NAME).read_bytes() == b"weights"
    assert not (tmp_path / "config").exists()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"biomedparse-v1": "an earlier licence"}'])
def test_a_damaged_or_other_acceptance_is_asked_again(hub, tmp_path, content):
    (tmp_path / "config").mkdir()
    (tmp_path / "config/licences.json").write_text(content)
    with pytest.raises(LicenceError):
        locate(NAME)
    licence.accept(NAME)
    assert licence.accepted(NAME)


def test_a_folder_that_cannot_be_written_is_said(hub, tmp_path):
    (tmp_path / "config").write_text("")
    with pytest.raises(CheckpointError, match="set NAPARI_BIOMEDPARSE_CONFIG"):
        licence.accept(NAME)
