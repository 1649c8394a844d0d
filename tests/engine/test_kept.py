"""Masks as they are kept: small, and exact at every step of the threshold."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_biomedparse import ObjectMask
from napari_biomedparse.engine.kept import LEAST, STEPS, keep, step_of

shares = arrays(
    np.float32,
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    elements=st.floats(0, 1, width=32, allow_subnormal=False),
)
# Each step of the threshold, and the numbers of 32 bits next to it.
EDGES = (np.arange(STEPS + 1) / STEPS).astype(np.float32)
NEXT_TO_EDGES = np.clip(np.stack([np.nextafter(EDGES, np.float32(side)) for side in (-1, 2)] + [EDGES]), 0, 1)


def mask_of(probability, cores=None):
    return ObjectMask("nuclei", np.asarray(probability, np.float32), 0.25, cores)


@given(shares)
@example(NEXT_TO_EDGES)
def test_a_kept_mask_has_the_same_pixels_at_every_step_of_the_threshold(probability):
    mask = mask_of(probability)
    kept = keep(mask)
    restored = kept.restore()
    assert restored.probability.dtype == np.float32
    for n in range(LEAST, STEPS + 1):
        expected = mask.mask(n / STEPS)
        assert (restored.mask(n / STEPS) == expected).all()
        assert kept.pixels_above(n / STEPS) == expected.sum()
        found = np.zeros(kept.shape, bool)
        found[kept.slices] = kept.levels > step_of(n / STEPS)
        assert (found == expected).all()


@given(shares)
def test_what_is_kept_is_cut_to_what_is_above_the_least_level(probability):
    kept = keep(mask_of(probability))
    above = probability > LEAST / STEPS
    outside = above.copy()
    outside[kept.slices] = False
    assert not outside.any()
    if above.any():
        assert kept.levels[[0, -1]].any(axis=1).all()
        assert kept.levels[:, [0, -1]].any(axis=0).all()
    assert not ((kept.levels > 0) & (kept.levels <= LEAST)).any()


def test_a_mask_of_nothing_holds_no_bytes_and_comes_back_whole():
    kept = keep(mask_of(np.full((30, 40), 0.01)), 0.5)
    assert kept.nbytes == 0
    restored = kept.restore()
    assert restored.probability.shape == (30, 40)
    assert not restored.probability.any()
    assert kept.pixels_above(0) == 0
    # The largest probability, as for the mask itself.
    assert kept.confidence == pytest.approx(0.01)


def test_numbers_about_the_mask_come_along(rng):
    probability = np.zeros((30, 40), np.float32)
    probability[5:15, 8:30] = rng.uniform(0.1, 1, (10, 22))
    cores = np.where(probability > 0.7, probability, 0)
    mask = ObjectMask("nuclei", probability, 0.95, cores)
    kept = keep(mask, 0.125)
    assert (kept.prompt, kept.presence, kept.control) == ("nuclei", 0.125, 0.95)
    assert kept.confidence == mask.confidence
    assert kept.depends_on_words is mask.depends_on_words is False
    assert (kept.shape, kept.corner, kept.levels.shape) == ((30, 40), (5, 8), (10, 22))
    assert kept.nbytes == 2 * 10 * 22
    back = kept.restore()
    assert ((back.cores > 0.5) == (cores > 0.5)).all()
    np.testing.assert_allclose(back.cores, cores, atol=1 / STEPS)
    assert keep(mask_of(probability)).restore().cores is None


def test_a_kept_mask_is_not_changed_when_the_model_s_array_is(rng):
    probability = rng.uniform(0.1, 1, (6, 6)).astype(np.float32)
    mask = mask_of(probability, probability)
    kept = keep(mask)
    before = kept.levels.copy(), kept.cores.copy()
    probability[:] = 0
    assert (kept.levels == before[0]).all()
    assert (kept.cores == before[1]).all()


@pytest.mark.parametrize("threshold", [-0.1, 1.001, float("nan")])
def test_thresholds_out_of_range_are_refused(threshold):
    with pytest.raises(ValueError, match="between 0 and 1"):
        keep(mask_of([[0.5]])).pixels_above(threshold)
