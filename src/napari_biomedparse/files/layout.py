"""Names of folders and files in the BiomedParseData layout.

A data set is a folder with ``train``, ``train_mask``, ``test`` and ``test_mask``: images ``NAME_MODALITY_SITE.png`` or
``.jpg``, masks ``NAME_MODALITY_SITE_TARGET.png`` (non-zero is the object), ``+`` for a space inside a modality, site or
target. ``train_instances`` and ``test_instances``, where a set has them, number the separate objects of a mask from 1.
"""

from __future__ import annotations

from typing import Literal

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")


def masks_of(split: Split) -> str:
    """Return the folder of a split's masks."""
    return f"{split}_mask"


def instances_of(split: Split) -> str:
    """Return the folder of the images that number the objects of a split's masks, under the names of these."""
    return f"{split}_instances"


def image_name(name: str, modality: str, site: str) -> str:
    """Return the file name of an image, ``NAME_MODALITY_SITE.png``."""
    return f"{name}_{_part(modality)}_{_part(site)}.png"


def mask_name(image: str, target: str) -> str:
    """Return the file name of the mask of a target on an image."""
    return f"{image.removesuffix('.png')}_{_part(target)}.png"


def read_image_name(stem: str) -> tuple[str, str] | None:
    """Return the modality and the site that the name of an image, without its ending, tells; None where it does not."""
    parts = stem.rsplit("_", 2)
    return (_words(parts[1]), _words(parts[2])) if len(parts) == 3 else None


def read_mask_name(stem: str) -> tuple[str, str]:
    """Return the name of the image that a mask lies on and the target it is of; names are without their endings."""
    image, _, target = stem.rpartition("_")
    return image, _words(target)


def _part(words: str) -> str:
    return words.replace(" ", "+")


def _words(part: str) -> str:
    return part.replace("+", " ")
