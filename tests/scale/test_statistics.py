"""What a plane's findings are judged by is the same of the whole and of its blocks."""

import numpy as np
import pytest

from napari_biomedparse.engine.presence import mask_statistics
from napari_biomedparse.engine.results import ObjectMask, overlap
from napari_biomedparse.scale.statistics import MaskSums


def parts_of(plane):
    """Four blocks of unequal size."""
    return [half for rows in (plane[:13], plane[13:]) for half in (rows[:, :22], rows[:, 22:])]


@pytest.mark.parametrize("highest", [1.0, 0.6, 0.501, 0.4, 0.0])
def test_blocks_have_the_sums_of_their_plane_and_these_what_is_known_of_the_mask(rng, highest):
    probability = (rng.random((30, 40)) * highest).astype(np.float32)
    nonsense = rng.random((30, 40)) > 0.5
    rgb = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    mask = ObjectMask("nuclei", probability, nonsense=nonsense)
    whole = MaskSums.of(mask, rgb)
    assert whole.confidence == mask.confidence
    assert whole.control == overlap(probability > 0.5, nonsense)
    assert whole.looks.statistics == mask_statistics(probability, rgb)
    blocks = [
        MaskSums.of(ObjectMask("nuclei", p, nonsense=n), colours).row
        for p, n, colours in zip(parts_of(probability), parts_of(nonsense), parts_of(rgb), strict=True)
    ]
    total = MaskSums.total(np.array(blocks))
    assert total.row == pytest.approx(whole.row, rel=1e-9)
    assert total.confidence == pytest.approx(mask.confidence)
    assert total.looks.statistics == pytest.approx(mask_statistics(probability, rgb))
    assert total.control == whole.control


def test_without_words_that_name_nothing_there_is_nothing_in_common(rng):
    mask = ObjectMask("nuclei", np.ones((5, 5), np.float32))
    assert MaskSums.of(mask, np.zeros((5, 5, 3), np.uint8)).control == 0
