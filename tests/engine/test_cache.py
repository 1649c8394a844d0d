"""What is kept of seen images, within how many bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_biomedparse import Predictor
from napari_biomedparse.engine.cache import Cache


def plane(size):
    return np.zeros(size, np.uint8)


def test_the_least_recently_used_is_dropped_first():
    cache = Cache(10)
    for key in "abc":
        cache.put(key, plane(3))
    assert cache.get("a", np.ndarray) is not None
    cache.put("d", plane(3))
    assert cache.get("b", np.ndarray) is None
    assert all(cache.get(key, np.ndarray) is not None for key in "acd")
    assert cache.nbytes == 9
    cache.put("a", plane(1))
    assert cache.nbytes == 7
    assert cache.get("a", str) is None
    cache.clear()
    assert (cache.nbytes, cache.get("a", np.ndarray)) == (0, None)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12)), max_size=40))
def test_the_budget_is_never_exceeded(steps):
    cache = Cache(10)
    for key, size in steps:
        cache.put(key, plane(size))
        kept = [cache.get(key, np.ndarray) for key in range(6)]
        assert sum(value.nbytes for value in kept if value is not None) == cache.nbytes <= 10


def test_a_negative_budget_is_refused():
    with pytest.raises(ValueError, match="0 bytes or more"):
        Cache(-1)


@pytest.fixture
def counted(tiny_model, monkeypatch):
    """A predictor with a tiny network, and a list that grows by one with each encoding."""
    predictor = Predictor(tiny_model, device="cpu")
    calls = []
    encode = tiny_model.encode_image
    monkeypatch.setattr(tiny_model, "encode_image", lambda rgb: calls.append(len(rgb)) or encode(rgb))
    return predictor, calls


def test_a_seen_image_is_not_encoded_again_however_it_comes(counted, rng):
    predictor, calls = counted
    pixels = rng.integers(0, 255, (50, 60), dtype=np.uint8)
    first = predictor.segment(pixels, ["liver"])[0].probability
    assert calls == [1]
    again = predictor.segment(pixels.copy(), ["liver", "spleen"])[0].probability
    predictor.segment(predictor.encode(pixels), ["aorta"])
    assert calls == [1]
    np.testing.assert_allclose(first, again, atol=1e-6)
    for changed in (pixels[::-1], pixels.reshape(60, 50)):
        predictor.segment(changed, ["liver"])
    predictor.segment(pixels, ["liver"], fit="stretch")
    assert calls == [1] * 4


def test_what_does_not_fit_is_encoded_again_with_the_same_answer(tiny_model, counted, rng):
    _, calls = counted
    forgetful = Predictor(tiny_model, device="cpu", cache_bytes=0)
    encoded = forgetful.encode(rng.integers(0, 255, (50, 60), dtype=np.uint8))
    first, second = (forgetful.segment(encoded, ["liver"])[0].probability for _ in range(2))
    assert calls == [1, 1, 1]
    assert (first == second).all()
