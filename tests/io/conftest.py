"""Labels to write."""

import numpy as np
import pytest
from skimage.draw import disk


@pytest.fixture
def plane():
    """A ring, a rectangle, and two specks that touch at a corner."""
    labels = np.zeros((300, 400), np.int32)
    labels[disk((60, 60), 40)] = 1
    labels[disk((60, 60), 15)] = 0
    labels[100:120, 200:250] = 2
    labels[150, 300] = labels[151, 301] = 5
    return labels


@pytest.fixture
def stack(plane):
    """Two frames of three sections, all different."""
    frames = [np.roll(plane, shift, axis=1) for shift in range(6)]
    return np.array(frames).reshape(2, 3, *plane.shape)
