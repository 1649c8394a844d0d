"""Methods that know nothing of words: what a model has to beat."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2gray, rgb2hed
from skimage.filters import threshold_otsu
from skimage.measure import label
from skimage.morphology import black_tophat, disk
from skimage.segmentation import clear_border
from skimage.transform import resize

from napari_biomedparse.engine.measure import Row
from napari_biomedparse.evaluation.overlap import dice
from napari_biomedparse.evaluation.scores import TargetKey, key_of
from napari_biomedparse.training.dataset import Example, read_split

# Radius in pixels of the structuring element that vessels of a fundus image are thinner than.
VESSEL_RADIUS = 6
# Side of the square in which masks are averaged, and the cuts that are tried on their mean.
MEAN_SIDE = 128
CUTS = np.linspace(0.05, 0.95, 19)


@dataclass(frozen=True)
class BaselineScore:
    """Dice of one trivial method on one mask."""

    key: TargetKey
    method: str
    dice: float


def image_baselines(image: NDArray[np.uint8], modality: str) -> dict[str, NDArray[np.bool_]]:
    """Segment an image by its values alone.

    Parameters
    ----------
    image
        uint8 (H, W), (H, W, 3) or with an opacity, which is not used.
    modality
        Pathology and fundus images have a method of their own.

    Returns
    -------
    dict
        Method -> bool (H, W): ``otsu_bright`` and ``otsu_dark``, the two sides of Otsu's threshold of the grey values;
        ``otsu_dark_inner2``, the two largest dark regions that do not touch the image's border; ``hematoxylin_otsu``,
        what holds most haematoxylin after colour deconvolution (Ruifrok and Johnston, 2001); ``tophat_green_otsu``,
        thin dark structures of the green channel; and ``full_image``.
    """
    colour = image.ndim == 3
    image = image[..., :3] if colour else image
    grey = rgb2gray(image) if colour else image / 255
    bright = _above_otsu(grey)
    masks = {"otsu_bright": bright, "otsu_dark": ~bright, "otsu_dark_inner2": _inner(~bright)}
    if colour and modality == "pathology":
        masks["hematoxylin_otsu"] = _above_otsu(rgb2hed(image)[..., 0])
    if colour and modality == "fundus":
        masks["tophat_green_otsu"] = _above_otsu(black_tophat(image[..., 1], disk(VESSEL_RADIUS)))
    masks["full_image"] = np.ones(grey.shape, bool)
    return masks


def _above_otsu(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    above: NDArray[np.bool_] = values > threshold_otsu(values)
    return above


def _inner(dark: NDArray[np.bool_], most: int = 2) -> NDArray[np.bool_]:
    regions = label(clear_border(dark), connectivity=1)
    areas = np.bincount(regions.ravel())
    areas[0] = 0
    largest = np.argsort(-areas, kind="stable")[:most]
    return np.isin(regions, largest[areas[largest] > 0])


class MeanMask:
    """Where a target usually is: the mean of training masks, cut where that gives the best mean Dice on them.

    Parameters
    ----------
    masks
        At least one, each from :func:`stretch` to :data:`MEAN_SIDE` squared.
    """

    def __init__(self, masks: Sequence[NDArray[np.float32]]) -> None:
        small = np.stack(masks)
        self._mean, inside = small.mean(axis=0), small >= 0.5
        self._cut = float(max(CUTS, key=lambda cut: np.mean([dice(self._mean > cut, each) for each in inside])))

    def segment(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return the usual place in an image of a shape, bool (H, W)."""
        place: NDArray[np.bool_] = stretch(self._mean, shape) > self._cut
        return place


def stretch(values: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return values (H, W) resampled linearly to another shape, float32; averaged where it is smaller."""
    values = values.astype(np.float32)
    shrinks = any(new < old for new, old in zip(shape, values.shape, strict=True))
    stretched: NDArray[np.float32] = resize(values, shape, order=1, anti_aliasing=shrinks)
    return stretched


class Baselines:
    """All trivial methods on the images of some sets.

    ``mean_train_mask`` is that of the target's masks in a set's own train split; where it has none, of those that the
    other sets have of the same target and modality; where these have none either, it is left out.

    Parameters
    ----------
    datasets
        Folders of all sets. Training masks are read when first needed.

    Raises
    ------
    DataError
        If a train split is not complete.
    """

    def __init__(self, datasets: Sequence[Path]) -> None:
        folders = [folder for folder in datasets if (folder / "train").is_dir()]
        self._examples = [example for folder in folders for example in read_split(folder, "train")]
        self._means: dict[TargetKey, MeanMask | None] = {}

    def score(
        self, example: Example, image: NDArray[np.uint8], truths: Mapping[str, NDArray[np.bool_]]
    ) -> Iterator[BaselineScore]:
        """Yield the Dice of every method on every target of an image.

        Parameters
        ----------
        example, image
            The image, uint8 (H, W) or (H, W, 3).
        truths
            Target -> its mask, bool (H, W).
        """
        by_value = image_baselines(image, example.modality)
        for target, truth in truths.items():
            key = key_of(example, target)
            for method, found in by_value.items():
                yield BaselineScore(key, method, dice(found, truth))
            if key not in self._means:
                self._means[key] = self._average(key)
            mean = self._means[key]
            if mean is not None:
                yield BaselineScore(key, "mean_train_mask", dice(mean.segment(truth.shape), truth))

    def _average(self, key: TargetKey) -> MeanMask | None:
        seen = [e for e in self._examples if e.modality == key.modality and key.target in e.masks]
        seen = [e for e in seen if key_of(e, key.target) == key] or seen
        masks = [stretch(example.read_mask(key.target), (MEAN_SIDE, MEAN_SIDE)) for example in seen]
        return MeanMask(masks) if masks else None


def best_baselines(scores: Sequence[BaselineScore]) -> dict[TargetKey, tuple[str, float]]:
    """Return for each target the method with the highest mean Dice, and that."""
    best: dict[TargetKey, tuple[str, float]] = {}
    for (key, method), (_, mean) in _means(scores).items():
        if key not in best or mean > best[key][1]:
            best[key] = (method, mean)
    return best


BASELINE_COLUMNS = ("dataset", "modality", "site", "target", "method", "images", "dice_mean")


def baseline_rows(scores: Sequence[BaselineScore]) -> list[Row]:
    """Return a row of :data:`BASELINE_COLUMNS` per target and method."""
    return [
        dict(
            zip(
                BASELINE_COLUMNS,
                (key.dataset, key.modality, key.site, key.target, method, images, round(mean, 4)),
                strict=True,
            )
        )
        for (key, method), (images, mean) in _means(scores).items()
    ]


def _means(scores: Sequence[BaselineScore]) -> dict[tuple[TargetKey, str], tuple[int, float]]:
    values: dict[tuple[TargetKey, str], list[float]] = defaultdict(list)
    for score in scores:
        values[score.key, score.method].append(score.dice)
    return {each: (len(dices), float(np.mean(dices))) for each, dices in values.items()}
