"""How often images of each set and modality are drawn."""

from collections import Counter

import numpy as np
import pytest
from skimage.io import imsave

from napari_biomedparse.training.dataset import read_split
from napari_biomedparse.training.triples import SamplingConfig, TripleSampler

# Name, modality, images, and the grey value by which a drawn image is known.
SETS = (("Many", "MRI-T1", 16, 40), ("Some", "MRI-T2", 4, 120), ("Few", "ultrasound", 4, 200))


@pytest.fixture
def examples(tmp_path):
    for name, modality, count, grey in SETS:
        for part in ("train", "train_mask"):
            (tmp_path / name / part).mkdir(parents=True)
        for number in range(count):
            image = np.zeros((32, 32, 3), np.uint8) + np.uint8(grey)
            imsave(tmp_path / name / "train" / f"{number}_{modality}_brain.png", image, check_contrast=False)
            mask = np.full((32, 32), 255, np.uint8)
            imsave(tmp_path / name / "train_mask" / f"{number}_{modality}_brain_tumor.png", mask, check_contrast=False)
    return [example for name, *_ in SETS for example in read_split(tmp_path / name, "train")]


@pytest.mark.parametrize(
    ("balance", "modality_balance", "shares"),
    [
        (1.0, 1.0, (16 / 24, 4 / 24, 4 / 24)),
        (0.0, 1.0, (1 / 3, 1 / 3, 1 / 3)),
        # Both kinds of MRI together are drawn as often as ultrasound.
        (1.0, 0.0, (0.4, 0.1, 0.5)),
        (0.0, 0.0, (0.25, 0.25, 0.5)),
    ],
)
def test_sets_and_modalities_are_drawn_as_told(examples, tiny_config, balance, modality_balance, shares):
    # Colours as they are, so that the sets can be told apart.
    config = SamplingConfig(prompts=1, foreign=0, recolour=(0, 0), balance=balance, modality_balance=modality_balance)
    images = TripleSampler(examples, tiny_config, 32, config, seed=0).batch(0, 1200).images
    drawn = Counter(round(float(image[0, 16, 16])) for image in images)
    assert [drawn[grey] / 1200 for *_, grey in SETS] == pytest.approx(shares, abs=0.05)


def test_single_sets_are_drawn_more_often_or_more_seldom(examples, tiny_config):
    config = SamplingConfig(prompts=1, foreign=0, recolour=(0, 0), balance=0, weights={"Few": 2, "Many": 0.5})
    images = TripleSampler(examples, tiny_config, 32, config, seed=0).batch(0, 1200).images
    drawn = Counter(round(float(image[0, 16, 16])) for image in images)
    assert [drawn[grey] / 1200 for *_, grey in SETS] == pytest.approx((0.5 / 3.5, 1 / 3.5, 2 / 3.5), abs=0.05)


def test_a_weight_of_a_set_that_is_not_there_is_refused(examples, tiny_config):
    with pytest.raises(ValueError, match="names Fex, but the sets are Few, Many, Some"):
        TripleSampler(examples, tiny_config, 32, SamplingConfig(weights={"Fex": 2}), seed=0)
