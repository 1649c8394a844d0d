"""Pictures that the runs look at."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def nuclei(fluorescence):
    """Part of a real image in which nuclei touch."""
    return fluorescence[0][:300, 60:360]


@pytest.fixture(scope="module")
def stack(fluorescence):
    """Sections, on each of which objects have moved a little."""
    pixels = fluorescence[0]
    return np.stack([pixels[n : n + 120, 60 + 2 * n : 188 + 2 * n] for n in (0, 3, 6)])
