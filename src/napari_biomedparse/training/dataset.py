"""Images, masks and words on disk in the layout of :mod:`~napari_biomedparse.files.layout`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from skimage.io import imread

from napari_biomedparse.errors import BiomedParseError
from napari_biomedparse.files.layout import Split as Split
from napari_biomedparse.files.layout import instances_of, masks_of, read_image_name, read_mask_name

Value = TypeVar("Value", bound=np.generic)


class DataError(BiomedParseError):
    """A data set that cannot be read; the message says what is wrong with which file."""


@dataclass(frozen=True)
class Example:
    """One image and the masks of the targets annotated on it.

    Attributes
    ----------
    dataset
        Name of the data set's folder.
    image
        Path of the image.
    modality, site
        Words from the file name.
    masks
        Target -> path of its mask.
    instances
        Target -> path of the image that numbers its separate objects, where there is one.
    """

    dataset: str
    image: Path
    modality: str
    site: str
    masks: dict[str, Path]
    instances: dict[str, Path] = field(default_factory=dict)

    def read_image(self) -> NDArray[np.uint8]:
        """Return the image, uint8 (H, W) or (H, W, 3).

        Raises
        ------
        DataError
            If it cannot be read; as the other two methods.
        """
        return _pixels(self.image)

    def read_mask(self, target: str) -> NDArray[np.bool_]:
        """Return one target's mask, bool (H, W)."""
        pixels: NDArray[np.generic] = _pixels(self.masks[target])
        if pixels.ndim == 3:
            # Without the opacity that comes last of two or four.
            pixels = np.asarray(pixels[..., : 1 if pixels.shape[-1] == 2 else 3].any(axis=-1))
        mask: NDArray[np.bool_] = pixels != 0
        return mask

    def read_instances(self, target: str) -> NDArray[np.int64]:
        """Return the numbers of one target's separate objects, int64 (H, W), 0 where there is none."""
        numbers: NDArray[np.int64] = _pixels(self.instances[target]).astype(np.int64)
        return numbers


def _pixels(path: Path) -> NDArray[np.uint8]:
    try:
        pixels: NDArray[np.uint8] = imread(path)
    # Readers raise whatever their libraries do.
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path} cannot be read ({reason}); mend it, or take the image and its masks out.") from error
    return pixels


def of_size(mask: NDArray[Value], shape: tuple[int, int], path: Path) -> NDArray[Value]:
    """Return a mask that was read from a path, if it is as high and wide as its image.

    Raises
    ------
    DataError
        If it is not.
    """
    if mask.shape != shape:
        sizes = " but its image ".join(" x ".join(map(str, each)) for each in (mask.shape, shape))
        raise DataError(f"{path} is {sizes} pixels: make them one size.")
    return mask


def read_split(dataset: Path, split: Split) -> list[Example]:
    """Return the examples of one split, in the order of their names; images without a mask are left out.

    Parameters
    ----------
    dataset
        Folder of the data set.
    split
        ``"train"`` or ``"test"``.

    Raises
    ------
    DataError
        If the folder, an image or the parts of a name are missing.
    """
    images, masks = dataset / split, dataset / masks_of(split)
    if not images.is_dir():
        raise DataError(f"{dataset} is not a BiomedParseData folder: it has no {split}/ folder of images.")
    by_image: dict[str, dict[str, Path]] = {}
    for path in sorted(masks.glob("*.png")) if masks.is_dir() else ():
        image, target = read_mask_name(path.stem)
        by_image.setdefault(image, {})[target] = path
    return list(_examples(dataset.resolve().name, images, dataset / instances_of(split), by_image))


def _examples(dataset: str, images: Path, folder: Path, by_image: dict[str, dict[str, Path]]) -> Iterator[Example]:
    numbered = {path.name for path in folder.glob("*.png")} if folder.is_dir() else set()
    for name, masks in by_image.items():
        path = next((p for p in (images / f"{name}.png", images / f"{name}.jpg") if p.is_file()), None)
        if path is None:
            raise DataError(f"{next(iter(masks.values()))} has no image: {images / name}.png is missing.")
        context = read_image_name(name)
        if context is None:
            raise DataError(f"{path.name} is not named NAME_MODALITY_SITE.png.")
        instances = {target: folder / mask.name for target, mask in masks.items() if mask.name in numbered}
        yield Example(dataset, path, *context, masks, instances)
