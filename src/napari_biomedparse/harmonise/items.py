"""Make the pictures of one source image: its planes, their masks, and a record of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_biomedparse.errors import SettingError
from napari_biomedparse.files.layout import Split, image_name, instances_of, mask_name, masks_of
from napari_biomedparse.harmonise.dicom import read_segmentation
from napari_biomedparse.harmonise.index import Item, ItemMask
from napari_biomedparse.harmonise.layout import fraction, split_of
from napari_biomedparse.harmonise.planes import fit_image, fit_mask, fit_numbers
from napari_biomedparse.harmonise.source import Source, value_text
from napari_biomedparse.harmonise.volume import DICOM, LOSSY, Volume, check_aligned, has_ending
from napari_biomedparse.harmonise.volumes import read_volume
from napari_biomedparse.io.reading import ReadError

Record = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """How a data set is made.

    Attributes
    ----------
    size
        Side of the square pictures in pixels; None keeps height and width, of scans as far as their pixels are square.
    test
        Share of the groups in the test split, where the source has no splits.
    seed
        Changes which groups, and which empty planes.
    min_pixels
        A mask with fewer pixels in a plane is left out there.
    empty
        Share of the planes without any object, however small, that are kept as negatives, with empty masks.
    """

    size: int | None = 1024
    test: float = 0.2
    seed: int = 0
    min_pixels: int = 10
    empty: float = 0.0

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 32:
            raise SettingError(f"A size of {self.size} pixels is too small; give 32 or more.")
        if not (0 <= self.test <= 1 and 0 <= self.empty <= 1):
            raise SettingError("The shares of test groups and of empty planes must lie between 0 and 1.")
        if self.min_pixels < 1:
            raise SettingError(f"The smallest mask that counts has 1 pixel, not {self.min_pixels}.")


class _Masks:
    """Masks and numbered objects by target and plane, of which only those with something in them take space."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.targets: dict[str, None] = {}
        self._bits: dict[tuple[str, int], NDArray[np.uint8]] = {}
        self.numbers: dict[tuple[str, int], NDArray[np.int64]] = {}

    def add(self, target: str, z: int, mask: NDArray[np.bool_]) -> None:
        self.targets[target] = None
        if mask.any():
            bits, known = np.packbits(mask), self._bits.get((target, z))
            self._bits[target, z] = bits if known is None else bits | known

    def add_objects(self, target: str, z: int, values: NDArray[np.int64]) -> None:
        self.add(target, z, values != 0)
        if not self.has(target, z):
            return
        known = self.numbers.setdefault((target, z), np.zeros(self.shape, np.int64))
        # Several files may each hold objects, or one object each.
        self.numbers[target, z] = np.where(values != 0, values + known.max(), known)

    def has(self, target: str, z: int) -> bool:
        return (target, z) in self._bits

    def get(self, target: str, z: int) -> NDArray[np.bool_]:
        bits = self._bits[target, z]
        return np.unpackbits(bits, count=self.shape[0] * self.shape[1]).reshape(self.shape).astype(bool)


def make_item(
    item: Item, targets: Mapping[str, str], folder: Path, source: Source, settings: Settings, out: Path
) -> Record:
    """Write the pictures of one image into a data set.

    Parameters
    ----------
    item
        The image.
    targets
        Label -> target, of the labels that are wanted.
    folder
        The source's folder.
    source
        Its description.
    settings
        How to make them.
    out
        The data set's folder, with its split folders.

    Returns
    -------
    dict
        ``split``, ``group`` and ``images``: for each its file name, height, width and annotations (mask file, target,
        area in pixels, box as x, y, width, height, and whether its objects are numbered). ``left_out``: how many planes
        are not among them, since nothing counts in them. ``unnamed``: values of masks, five at most, that have no name
        and were taken for background.

    Raises
    ------
    SettingError
        If the image or a mask cannot be used; then nothing of it is left.
    """
    volume = read_volume(folder / item.path, source.plane, source.channel)
    masks = _Masks((volume.planes.shape[1], volume.planes.shape[2]))
    unnamed: set[int] = set()
    for mask in item.masks:
        unnamed |= _add_mask(masks, mask, volume, targets, folder, source, item)
    split = split_for(item, settings)
    images: list[dict[str, Any]] = []
    intensity, square = source.intensity_for(volume.planes.dtype.itemsize * 8), volume.square
    try:
        for z, plane in enumerate(volume.planes):
            name = item.name if volume.flat else f"{item.name}-z{z:03d}"
            fitted = {t: fit_mask(masks.get(t, z), settings.size, square) for t in masks.targets if masks.has(t, z)}
            kept = {target: mask for target, mask in fitted.items() if mask.sum() >= settings.min_pixels}
            if not kept:
                if fitted or fraction(name, settings.seed) >= settings.empty:
                    continue
                kept = dict.fromkeys(masks.targets, fit_mask(np.zeros(masks.shape, bool), settings.size, square))
                if not kept:
                    continue
            pixels = fit_image(plane, intensity, settings.size, square)
            file_name = image_name(name, source.modality, source.site)
            images.append({"file_name": file_name, "height": pixels.shape[0], "width": pixels.shape[1]})
            images[-1]["annotations"] = annotations = []
            _write(out / split / file_name, pixels)
            for target, fitted_mask in kept.items():
                annotations.append(_annotation(mask_name(file_name, target), target, fitted_mask))
                _write(out / masks_of(split) / annotations[-1]["mask_file"], fitted_mask.astype(np.uint8) * 255)
                if (target, z) in masks.numbers and fitted_mask.any():
                    numbers = fit_numbers(masks.numbers[target, z], settings.size, square)
                    _write(out / instances_of(split) / annotations[-1]["mask_file"], numbers)
                    annotations[-1]["instances"] = True
    except BaseException:
        remove_files({"split": split, "images": images}, out)
        raise
    values = [value_text(value) for value in sorted(unnamed)[:5]]
    about = {"key": item.key, "group": item.group, "split": split, "unnamed": values}
    return {**about, "images": images, "left_out": len(volume.planes) - len(images)}


def split_for(item: Item, settings: Settings) -> Split:
    """Return the split that an image goes into."""
    return item.split or split_of(item.group, settings.test, settings.seed)


def files_of(record: Record, out: Path) -> Iterable[Path]:
    """Yield the files that a record tells of."""
    split = record["split"]
    for image in record["images"]:
        yield out / split / image["file_name"]
        for annotation in image["annotations"]:
            yield out / masks_of(split) / annotation["mask_file"]
            if annotation.get("instances"):
                yield out / instances_of(split) / annotation["mask_file"]


def remove_files(record: Record, out: Path) -> None:
    """Remove the files that a record tells of."""
    for path in files_of(record, out):
        path.unlink(missing_ok=True)


def move_files(record: Record, start: Path, out: Path) -> None:
    """Move the files that a record tells of from one data set's folder to another's."""
    for old, new in zip(files_of(record, start), files_of(record, out), strict=True):
        old.replace(new)


def _add_mask(
    masks: _Masks,
    mask: ItemMask,
    volume: Volume,
    targets: Mapping[str, str],
    folder: Path,
    source: Source,
    item: Item,
) -> set[int]:
    """Add the wanted labels of a mask file; return the values in it that have no name."""
    path, rule = folder / mask.path, source.masks[mask.rule]
    wanted = {label: values for label, values in mask.labels.items() if label in targets}
    if not wanted:
        return set()
    if path.is_file() and has_ending(path, DICOM) and (folder / item.path).is_dir():
        segments = read_segmentation(path, folder / item.path)
        for label, values in wanted.items():
            for value in values or segments:
                for z, plane in enumerate(segments.get(value, ())):
                    masks.add(targets[label], z, plane)
        return set()
    known = {value for values in mask.labels.values() for value in values}
    if has_ending(path, LOSSY) and (known or rule.instances):
        raise ReadError(f"{path} is a JPEG, which blurs values; only a mask of one label can be read from it.")
    found = read_volume(path, source.plane, None, mask=True)
    check_aligned(volume, found, path)
    seen: set[int] = set()
    for z, plane in enumerate(found.planes):
        if plane.dtype.kind == "f" and not np.isfinite(plane).all():
            raise ReadError(f"{path} has NaN or infinite values; a mask has 0 where there is no object.")
        if known:
            plane = _whole(plane, path)
            seen |= set(np.unique(plane).tolist()) - {0}
        for label, values in wanted.items():
            if rule.instances:
                masks.add_objects(targets[label], z, _whole(plane, path))
            else:
                masks.add(targets[label], z, np.isin(plane, values) if values else plane != 0)
    if seen and known and not seen & known:
        shown, named = (", ".join(map(value_text, sorted(values)[:5])) for values in (seen, known))
        raise ReadError(f"{path} has the values {shown}, of which labels names none ({named}).")
    return seen - known


def _whole(values: NDArray[Any], path: Path) -> NDArray[np.int64]:
    if values.dtype.kind == "f":
        whole = np.rint(values)
        if not np.allclose(whole, values, atol=1e-3):
            raise ReadError(f"{path} has fractions among its values; a mask must have whole numbers.")
        values = whole
    return values.astype(np.int64)


def _annotation(name: str, target: str, mask: NDArray[np.bool_]) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = [0, 0, 0, 0]
    if len(rows):
        left, top = int(columns[0]), int(rows[0])
        box = [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]
    return {"mask_file": name, "target": target, "area": int(mask.sum()), "bbox": box}


def _write(path: Path, pixels: NDArray[Any]) -> None:
    partial = path.with_name(f"{path.name}.partial")
    try:
        Image.fromarray(pixels).save(partial, format="PNG")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
