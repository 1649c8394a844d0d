"""A small data set to train on."""

import numpy as np
import pytest
from skimage.io import imsave


@pytest.fixture
def discs(tmp_path, rng):
    """A data set of bright squares on grey, in the BiomedParseData layout."""
    folder = tmp_path / "Shapes"
    for split, count in (("train", 24), ("test", 4)):
        (folder / split).mkdir(parents=True)
        (folder / f"{split}_mask").mkdir()
        for number in range(count):
            y, x = np.mgrid[:64, :64]
            cy, cx = rng.integers(16, 48, 2)
            square = (abs(y - cy) < 12) & (abs(x - cx) < 12)
            image = np.where(square, 230, 90) + rng.integers(-8, 8, (64, 64))
            imsave(folder / split / f"i{number}_light+microscopy_bench.png", image.astype(np.uint8))
            mask = (square * 255).astype(np.uint8)
            imsave(folder / f"{split}_mask" / f"i{number}_light+microscopy_bench_bright+square.png", mask)
    return folder
