"""What a prompt found on a plane."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.boxes import Box, box_objects
from napari_biomedparse.engine.instances import split_instances
from napari_biomedparse.engine.mask_sums import OverlapSums, SureSums
from napari_biomedparse.errors import SettingError
from napari_biomedparse.ontology import BiomedicalObject, find_object

# Overlap over union above which two masks count as the same: answers to different words for one object overlap as much.
SAME = 0.9


def overlap(found: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return overlap over union of two masks, 0 where either is empty."""
    return OverlapSums.of(found, other).overlap


@dataclass(frozen=True)
class ObjectMask:
    """The answer to one prompt.

    Attributes
    ----------
    prompt
        The words asked.
    probability
        float32 (H, W) in [0, 1].
    control
        Overlap over union with the mask that words naming nothing give on the same image; 0 where either is empty,
        None where that was not asked.
    cores
        float32 (H, W): probability of the inner parts of the separate objects, where the model knows them.
    nonsense
        bool (H, W): the mask that words naming nothing give, as far as that was asked.
    """

    prompt: str
    probability: NDArray[np.float32]
    control: float | None = None
    cores: NDArray[np.float32] | None = None
    nonsense: NDArray[np.bool_] | None = field(default=None, repr=False)

    @property
    def depends_on_words(self) -> bool:
        """Whether the mask is another one than words naming nothing give, as far as that was asked."""
        return self.control is None or self.control <= SAME

    @property
    def object(self) -> BiomedicalObject | None:
        """The object of the ontology that the prompt names, or None for free text."""
        return find_object(self.prompt)

    @cached_property
    def confidence(self) -> float:
        """Mean probability of the pixels at 0.5 or more; the largest probability where there are none."""
        return SureSums.of(self.probability).confidence

    def mask(self, threshold: float = 0.5) -> NDArray[np.bool_]:
        """Return the pixels whose probability is above ``threshold``, bool (H, W).

        Raises
        ------
        SettingError
            If the threshold is not between 0 and 1.
        """
        if not 0 <= threshold <= 1:
            raise SettingError(f"The threshold must be between 0 and 1, not {threshold}.")
        above: NDArray[np.bool_] = self.probability > threshold
        return above

    def instances(self, threshold: float = 0.5) -> NDArray[np.int32]:
        """Return the separate objects above ``threshold``, numbered; touching ones are parted, specks left out.

        Returns
        -------
        ndarray
            int32 (H, W), 0 is background, objects 1..n without gaps.

        Raises
        ------
        SettingError
            If the threshold is not between 0 and 1.
        """
        return self.split(self.mask(threshold))

    def split(self, pixels: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Return the separate objects among some of its pixels, bool (H, W), as :meth:`instances` does."""
        return split_instances(pixels, self.probability, cores=self.cores)

    def boxes(self, threshold: float = 0.5, instances: bool = False) -> list[Box]:
        """Return boxes around the pixels whose probability is above ``threshold``, by their top, then left side.

        Parameters
        ----------
        threshold
            Probability above which a pixel belongs to an object.
        instances
            Box every separate object, splitting those that touch and leaving out specks; otherwise the mask as a whole.

        Raises
        ------
        SettingError
            If the threshold is not between 0 and 1.
        """
        inside = self.mask(threshold)
        objects = self.instances(threshold) if instances else inside.astype(np.int32)
        return box_objects(objects, inside, self.probability)
