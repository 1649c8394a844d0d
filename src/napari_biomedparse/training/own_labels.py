"""A user's own pictures and labels as a small data set, with a part of them kept back to measure on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.io import imsave

from napari_biomedparse.engine.preprocess import to_rgb
from napari_biomedparse.files.layout import image_name, instances_of, mask_name, masks_of
from napari_biomedparse.ontology import find_modality, find_object, normalise, occurs_in
from napari_biomedparse.training.dataset import DataError

# Labelled pixels that a prompt needs in what is trained on, and one of them in what is kept back.
LEAST_PIXELS = 50
# Share of the planes that is kept back; of a single plane it is a quarter.
SHARE = 0.25
# Letters of a prompt: each is part of a file's name.
LONGEST = 100
# What is said of pictures whose kind is not known, so that "nuclei in any image" is still English.
UNKNOWN = ("image", "any")


@dataclass(frozen=True)
class Picture:
    """A plane and its labels.

    Parameters
    ----------
    plane
        (H, W) or (H, W, 3) of any real type.
    labels
        Integers (H, W), 0 is background. All that the prompts name must be labelled.
    names
        Label value -> prompt. Several values of one prompt are separate objects.
    modality
        Kind of image, such as ``"CT-Abdomen"``; None if unknown.
    """

    plane: NDArray[np.generic]
    labels: NDArray[np.integer]
    names: Mapping[int, str]
    modality: str | None = None


@dataclass(frozen=True)
class Labelled:
    """A picture as it is trained on or measured.

    Attributes
    ----------
    rgb
        uint8 (H, W, 3).
    numbers
        Prompt -> its separate objects, int (H, W), 0 elsewhere.
    modality
        Kind of image, None if unknown.
    part
        Rows and columns that are measured.
    """

    rgb: NDArray[np.uint8]
    numbers: dict[str, NDArray[np.int64]]
    modality: str | None
    part: tuple[slice, slice] = field(default=(slice(None), slice(None)))

    def mask(self, prompt: str) -> NDArray[np.bool_]:
        """Return where a prompt's objects are in the part that is measured, bool (h, w)."""
        numbers = self.numbers.get(prompt, np.zeros(self.rgb.shape[:2], np.int64))
        inside: NDArray[np.bool_] = numbers[self.part] > 0
        return inside

    def pixels(self, prompt: str) -> int:
        """Return the number of a prompt's labelled pixels in the part that is measured."""
        return int(self.mask(prompt).sum())

    def of_modality(self, modality: str) -> Labelled:
        """Return it as a picture of another kind."""
        return replace(self, modality=modality)

    def without(self, part: tuple[slice, slice]) -> Labelled:
        """Return it with a part painted over in the mean colour of the rest, and without its labels."""
        rest = np.ones(self.rgb.shape[:2], bool)
        rest[part] = False
        rgb = self.rgb.copy()
        rgb[part] = self.rgb[rest].mean(axis=0).round()
        return replace(self, rgb=rgb, numbers={name: numbers * rest for name, numbers in self.numbers.items()})


def keep_back(pictures: Sequence[Picture]) -> tuple[list[Labelled], list[Labelled]]:
    """Part pictures into what is trained on and what is measured.

    Of several labelled planes, a quarter that lie next to each other is kept back.
    Otherwise it is one quarter of the picture, which the network is shown painted over in training; it is measured as
    part of the whole picture.

    Returns
    -------
    tuple
        What is trained on, and what is measured: every prompt is in the former, and one at least in the latter.

    Raises
    ------
    DataError
        If a label has no prompt, or a prompt cannot be trained on; if too little is labelled, in one sentence that
        says what to do.
    """
    labelled = [shown for shown in map(_read, pictures) if shown.numbers]
    if not labelled:
        raise DataError("Nothing is labelled; paint labels on the picture first.")
    prompts = list(dict.fromkeys(prompt for shown in labelled for prompt in shown.numbers))
    for partings in (_by_plane(labelled), _by_quarter(labelled)):
        worth, parting = max(
            ((_worth(*parting, prompts), parting) for parting in partings), key=lambda pair: pair[0], default=(0, None)
        )
        if parting is not None and worth > 0:
            return parting
    few = min(prompts, key=lambda prompt: sum(shown.pixels(prompt) for shown in labelled))
    raise DataError(
        f"Too little is labelled to train and to keep a part back: label {few!r} in two planes, or in two quarters of "
        f"one, with {LEAST_PIXELS} pixels or more in each."
    )


def context_of(modality: str | None) -> tuple[str, str]:
    """Return the modality and the site that a kind of image such as ``"CT-Abdomen"`` names, in words for phrases."""
    kind = find_modality(modality) if modality else None
    if modality is None or kind is None:
        return UNKNOWN
    words, known = normalise(modality.replace("-", " ")), normalise(kind.name.replace("-", " "))
    return kind.name, words.removeprefix(known).strip() or UNKNOWN[1]


def can_name_absent(shown: Sequence[Labelled]) -> bool:
    """Return whether the kinds of images are known and fit, so that what does not occur in them can be asked."""
    for picture in shown:
        kind = find_modality(context_of(picture.modality)[0])
        found = [find_object(prompt) for prompt in picture.numbers]
        if kind is None or not all(entry is None or occurs_in(entry, kind) for entry in found):
            return False
    return True


def write_dataset(shown: Sequence[Labelled], folder: Path) -> None:
    """Write pictures as the train split of a data set in the BiomedParseData layout."""
    images, masks, instances = (folder / name for name in ("train", masks_of("train"), instances_of("train")))
    for part in (images, masks, instances):
        part.mkdir(parents=True)
    for number, picture in enumerate(shown):
        name = image_name(f"plane{number:04d}", *context_of(picture.modality))
        imsave(images / name, picture.rgb, check_contrast=False)
        for prompt, numbers in picture.numbers.items():
            file = mask_name(name, prompt)
            imsave(masks / file, np.where(numbers > 0, 255, 0).astype(np.uint8), check_contrast=False)
            if 1 < numbers.max() <= np.iinfo(np.uint16).max:
                imsave(instances / file, numbers.astype(np.uint16), check_contrast=False)


def _read(picture: Picture) -> Labelled:
    values, at = np.unique(picture.labels, return_inverse=True)
    unnamed = [int(value) for value in values if value != 0 and not normalise(picture.names.get(int(value), ""))]
    if unnamed:
        some = ", ".join(map(str, unnamed[:5])) + (", ..." if len(unnamed) > 5 else "")
        raise DataError(f"No words are given for the label {some}; say what it shows, or erase it.")
    numbers_of: dict[str, NDArray[np.int64]] = {}
    for place, value in enumerate(values):
        if value != 0:
            table = numbers_of.setdefault(_checked(picture.names[int(value)]), np.zeros(len(values), np.int64))
            table[place] = table.max() + 1
    numbers = {prompt: table[at].reshape(picture.labels.shape) for prompt, table in numbers_of.items()}
    return Labelled(to_rgb(picture.plane), numbers, picture.modality)


def _checked(prompt: str) -> str:
    """Return a prompt that a data set's file names can hold."""
    words = normalise(prompt)
    if len(words) > LONGEST or not all(letter.isalnum() or letter in " -.,()'" for letter in words):
        raise DataError(
            f"{prompt!r} cannot be trained on: use up to {LONGEST} letters, digits, spaces and hyphens, "
            "for example 'nucleus'."
        )
    return words


def _by_plane(labelled: list[Labelled]) -> Iterator[tuple[list[Labelled], list[Labelled]]]:
    count = max(1, round(SHARE * len(labelled)))
    for start in range(len(labelled) - count, -1, -1):
        yield labelled[:start] + labelled[start + count :], labelled[start : start + count]


def _by_quarter(labelled: list[Labelled]) -> Iterator[tuple[list[Labelled], list[Labelled]]]:
    if any(min(shown.rgb.shape[:2]) < 2 for shown in labelled):
        return
    for bottom, right in itertools.product((True, False), repeat=2):
        parts = [(_half(shown.rgb.shape[0], bottom), _half(shown.rgb.shape[1], right)) for shown in labelled]
        yield (
            [shown.without(part) for shown, part in zip(labelled, parts, strict=True)],
            [replace(shown, part=part) for shown, part in zip(labelled, parts, strict=True)],
        )


def _half(length: int, second: bool) -> slice:
    return slice(length // 2, length) if second else slice(0, length // 2)


def _worth(trained: list[Labelled], kept: list[Labelled], prompts: list[str]) -> float:
    """Return how well pictures are parted: 0 if not at all, more where more prompts are measured on a fair share."""
    pixels = [(sum(s.pixels(prompt) for s in trained), sum(s.pixels(prompt) for s in kept)) for prompt in prompts]
    if any(shown < LEAST_PIXELS for shown, _ in pixels):
        return 0.0
    measured = sum(back >= LEAST_PIXELS for _, back in pixels)
    shown, back = (sum(counts) for counts in zip(*pixels, strict=True))
    return measured + 0.5 * (1 - abs(back / (shown + back) - SHARE)) if measured else 0.0
