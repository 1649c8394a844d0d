"""A model that is loaded when first needed, for a window or a service."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.results import ObjectMask

if TYPE_CHECKING:
    from napari_biomedparse.engine.predictor import Predictor, Step


class Session:
    """Ask images one after another; the predictor's cache spares encoding one that was seen.

    Creating a session loads nothing, not even torch. One step at a time uses the model; other runs wait for it.

    Parameters
    ----------
    model, device
        As for :meth:`Predictor.from_pretrained`.
    """

    def __init__(self, model: str = "mini", device: str = "auto") -> None:
        self.model, self.device = model, device
        self._predictor: Predictor | None = None
        self._lock = Lock()

    def steps(self, image: NDArray[np.generic], prompts: Sequence[str]) -> Generator[Step, None, list[ObjectMask]]:
        """Do :meth:`Predictor.steps`, loading the model on the first call."""
        from napari_biomedparse.engine.prompts import check_prompts

        check_prompts(prompts)
        steps = self._start(image, prompts)
        while True:
            # Held during a step only: a run that is abandoned between steps must not keep the model from the next.
            with self._lock:
                try:
                    step = next(steps)
                except StopIteration as end:
                    masks: list[ObjectMask] = end.value
                    return masks
            yield step

    def _start(self, image: NDArray[np.generic], prompts: Sequence[str]) -> Generator[Step, None, list[ObjectMask]]:
        """Load the model if that has not been done, then run."""
        from napari_biomedparse.engine.predictor import Predictor

        if self._predictor is None:
            self._predictor = Predictor.from_pretrained(self.model, self.device)
        return (yield from self._predictor.steps(image, prompts))
