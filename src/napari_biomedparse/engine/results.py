"""What a prompt found on a plane."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.ontology import BiomedicalObject, find_object


@dataclass(frozen=True)
class ObjectMask:
    """The answer to one prompt.

    Attributes
    ----------
    prompt
        The words asked.
    probability
        float32 (H, W) in [0, 1].
    """

    prompt: str
    probability: NDArray[np.float32]

    @property
    def object(self) -> BiomedicalObject | None:
        """The object of the ontology that the prompt names, or None for free text."""
        return find_object(self.prompt)

    @cached_property
    def confidence(self) -> float:
        """Mean probability of the pixels at 0.5 or more; the largest probability where there are none."""
        inside = self.probability[self.probability >= 0.5]
        return float(inside.mean(dtype=np.float64)) if inside.size else float(self.probability.max())

    def mask(self, threshold: float = 0.5) -> NDArray[np.bool_]:
        """Return the pixels whose probability is above ``threshold``, bool (H, W).

        Raises
        ------
        ValueError
            If the threshold is not between 0 and 1.
        """
        if not 0 <= threshold <= 1:
            raise ValueError(f"The threshold must be between 0 and 1, not {threshold}.")
        above: NDArray[np.bool_] = self.probability > threshold
        return above
