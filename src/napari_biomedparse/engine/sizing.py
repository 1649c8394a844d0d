"""Measure the cells in an encoded image."""

from __future__ import annotations

import math
from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.encoder import Encoder
from napari_biomedparse.engine.instances import split_instances
from napari_biomedparse.engine.object_size import SizeSearch, diameters, zoom_for
from napari_biomedparse.engine.views import Batch, EncodedImage, View, plan_view


def measure(encoder: Encoder, image: EncodedImage, name: str) -> Generator[None, None, float | None]:
    """Find the diameter in pixels of an object of which the model knows the inner parts, one batch of tiles at a time.

    Returns what the image is known to have, or what was measured on an image of these pixels before; None if there is
    no such object.
    """
    if image.diameter is not None:
        return image.diameter
    key = ("diameter", image.content, name)
    known = encoder.cache.get(key, np.float64)
    if known is None:
        search = SizeSearch(image.shape, encoder.model.config)
        while not search.done:
            found = []
            for batch in search.sample.batches:
                found.append(sizes(encoder, image, search.view, batch, name))
                yield
            search.add(np.concatenate(found))
        known = np.float64(math.nan if search.diameter is None else search.diameter)
        encoder.cache.put(key, known)
    image.diameter = None if math.isnan(known) else float(known)
    return image.diameter


def plan_sized(encoder: Encoder, image: EncodedImage, view: str, name: str) -> Generator[None, None, None]:
    """Plan a view, under its name, in which an object has the size that the model was taught it in.

    Where the whole image fills the network's square, that is how it is shown.
    """
    config = encoder.model.config
    zoom = None if image.fit == "stretch" else zoom_for((yield from measure(encoder, image, name)), config)
    image.views[view] = plan_view(image.shape, zoom, config)


def sizes(encoder: Encoder, image: EncodedImage, view: View, batch: Batch, name: str) -> NDArray[np.float64]:
    """Return the objects on some tiles, each tile looked at for itself: (N, 2), diameters and mean probabilities."""
    answers = encoder.answers(image, view, batch, encoder.words([name]), (0,))
    return np.concatenate([_objects(plane, cores) for plane, cores in answers])


def _objects(plane: NDArray[np.float32], cores: NDArray[np.float32]) -> NDArray[np.float64]:
    numbers = split_instances(plane > 0.5, plane, cores=cores).ravel()
    areas = np.bincount(numbers)[1:]
    there = areas > 0
    sums = np.bincount(numbers, plane.ravel())[1:]
    return np.stack([diameters(numbers), sums[there] / areas[there]], axis=1)
