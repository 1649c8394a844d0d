"""A model that is loaded when first needed and shared by all who look."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from napari_biomedparse import CheckpointError, PromptError, Recipe
from napari_biomedparse.engine.follow import Seen
from napari_biomedparse.engine.selection import Selection
from napari_biomedparse.engine.session import Session, shared_session
from napari_biomedparse.engine.stack import Stack
from napari_biomedparse.weights import locate

PLANE = Selection("YX")


def look(session, pixels, prompts=("nuclei",), **how):
    """What the session sees on one plane."""
    stack = Stack((pixels,), PLANE)
    *_, last = session.look(stack, Recipe(PLANE, prompts), stack.places(), **how)
    assert isinstance(last, Seen)
    return last.masks


@pytest.fixture(scope="module")
def session():
    """A session that has loaded the embedded model."""
    made = Session(device="cpu")
    look(made, np.full((8, 8), 9, np.uint8))
    return made


def test_a_session_does_not_encode_a_seen_image_again(session, fluorescence, monkeypatch):
    pixels = fluorescence[0][:128, :128]
    first = look(session, pixels)
    model = session._loaded.predictor.model
    calls = []
    encode = model.encode_image
    monkeypatch.setattr(model, "encode_image", lambda rgb: calls.append(1) or encode(rgb))
    again = look(session, pixels.copy(), ("nuclei", "nucleus"))
    assert not calls
    np.testing.assert_allclose(first[0].restore().probability, again[0].restore().probability, atol=0.006)
    look(session, pixels[::-1])
    assert calls


def test_an_abandoned_run_does_not_keep_the_session_from_the_next(session, fluorescence):
    stack = Stack((fluorescence[0],), PLANE)
    abandoned = session.look(stack, Recipe(PLANE, ("nuclei",)), stack.places())
    next(abandoned)
    next(abandoned)
    assert look(session, fluorescence[0][:64, :64])[0].shape == (64, 64)
    # The first run may even go on.
    next(abandoned)
    abandoned.close()
    assert look(session, fluorescence[0][:64, :64])[0].shape == (64, 64)


def test_a_session_says_what_it_has_loaded():
    session = Session(device="cpu")
    assert (session.weights_of("mini"), session.running_on) == ("", "")
    look(session, np.full((8, 8), 9, np.uint8))
    assert session.weights_of("mini") == hashlib.sha256(locate("mini").read_bytes()).hexdigest()
    assert session.running_on == "cpu"


def test_the_model_is_loaded_once_and_again_for_another_device_or_model(session, monkeypatch, tmp_path):
    plane = np.full((8, 8), 9, np.uint8)
    predictor = session._loaded.predictor
    session.use("mini", "cpu")
    look(session, plane)
    assert session._loaded.predictor is predictor
    session.use("mini", "warp")
    with pytest.raises(ValueError, match="no device 'warp'"):
        look(session, plane)
    session.use("mini", "cpu")
    stack = Stack((plane,), PLANE)
    with pytest.raises(CheckpointError, match="no model called 'nonsense'"):
        next(session.look(stack, Recipe(PLANE, ("nuclei",), model="nonsense"), stack.places()))
    # A failure does not spoil the session.
    look(session, plane)
    assert session.running_on == "cpu"
    copied = tmp_path / "mine.safetensors"
    copied.write_bytes(locate("mini").read_bytes())
    list(session.look(stack, Recipe(PLANE, ("nuclei",), model=str(copied)), stack.places()))
    assert session._loaded.predictor.table.lists == {}
    look(session, plane)
    assert session._loaded.predictor.table.lists


def test_prompts_without_words_are_refused_before_a_model_is_loaded():
    session = Session(device="cpu")
    with pytest.raises(PromptError, match="empty"):
        look(session, np.ones((8, 8), np.uint8), ("nuclei", " "))
    assert session.running_on == ""


def test_all_windows_share_the_model_in_memory_but_not_what_they_chose(fluorescence):
    one, other = shared_session(), shared_session()
    one.use("mini", "cpu")
    other.use("mini", "warp")
    assert (one.model, one.device) == ("mini", "cpu")
    look(one, fluorescence[0][:64, :64])
    assert other.running_on == "cpu"
    assert other.weights_of("mini") == one.weights_of("mini") != ""


def test_making_a_session_loads_nothing():
    code = (
        "import sys; from napari_biomedparse.engine.session import shared_session; "
        "shared_session().use('mini', 'cpu'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
