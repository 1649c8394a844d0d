"""A small copy of training images, to carry to a machine with a GPU."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.transform import resize

from napari_biomedparse.engine.preprocess import to_rgb
from napari_biomedparse.files.layout import instances_of, masks_of
from napari_biomedparse.ontology import scale_of
from napari_biomedparse.training.dataset import DataError, Example, of_size, read_split

# What a data set says of itself: licence, credits, description.
ABOUT = ("*.md", "*.txt", "dataset.json", "LICENSE*", "LICENCE*")
# Qualities of JPEG that are tried until the copy is small enough; below, nuclei lose their rims.
QUALITIES = (90, 80, 70, 60)


class Packed(NamedTuple):
    """What was packed: where, how many images, bytes of the zip file or of all files, and the quality of JPEG."""

    path: Path
    images: int
    size: int
    quality: int


def pack(
    datasets: Sequence[Path],
    out: Path,
    long_side: int = 320,
    quality: int = QUALITIES[0],
    budget_bytes: int | None = None,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Packed:
    """Copy the train splits of data sets, made small, in the same layout.

    Images of organs alone are resized, as training would do anyway. Others keep their own pixel size, at which cells
    and tissue are shown to the network. Images become JPEG, masks PNG of one bit, and numbered objects PNG.

    Parameters
    ----------
    datasets
        Folders in the BiomedParseData layout.
    out
        Folder to make, or a file ending in ``.zip``; must not be there yet.
    long_side
        Longer side that resized images have at most, in pixels.
    quality
        JPEG's quality, 1 to 95; lowered where the copy would be too large.
    budget_bytes
        Bytes that the copy may have at most; None for no limit.
    report
        Called with the number of images done and of all.

    Returns
    -------
    Packed
        What there is now.

    Raises
    ------
    DataError
        If ``out`` is there already, two sets have the same name, there is no image, a mask is not of its image's size,
        or the copy cannot be made small enough. Nothing is left behind then.
    """
    examples = _examples(datasets)
    if out.exists():
        raise DataError(f"{out} is there already; remove it or name another folder or file.")
    if long_side < 32:
        raise DataError(f"Images of {long_side} pixels are too small to train on; take 32 at least.")
    partial = out.with_name(f"{out.name}.partial")
    # What a copy that was cut off left there would go into this one.
    _remove(partial)
    size = 0
    try:
        for tried in [quality, *(lower for lower in QUALITIES if lower < quality)]:
            with _Target(partial, as_zip=out.suffix == ".zip") as target:
                for folder in datasets:
                    for path in sorted({path for pattern in ABOUT for path in folder.glob(pattern)}):
                        target.add(f"{folder.resolve().name}/{path.name}", path.read_bytes())
                for done, example in enumerate(examples, 1):
                    for name, content in _files(example, long_side, tried):
                        target.add(f"{example.dataset}/{name}", content)
                    report(done, len(examples))
            size = target.size
            if budget_bytes is None or size <= budget_bytes:
                partial.replace(out)
                return Packed(out, len(examples), size, tried)
            _remove(partial)
    finally:
        _remove(partial)
    too_large, wanted = f"{size / 1e6:,.3f} MB", f"{(budget_bytes or 0) / 1e6:,.3f} MB"
    raise DataError(
        f"{len(examples)} images take {too_large}, more than {wanted}, also at JPEG quality {tried}; take a smaller "
        "side or fewer sets."
    )


def _examples(datasets: Sequence[Path]) -> list[Example]:
    names = [folder.resolve().name for folder in datasets]
    if len(set(names)) < len(names):
        raise DataError(f"Two data sets have the same name: {', '.join(sorted(names))}. Rename one of the folders.")
    examples = [example for folder in datasets for example in read_split(folder, "train")]
    if not examples:
        raise DataError("None of the data sets has a training image with masks.")
    return examples


def _files(example: Example, long_side: int, quality: int) -> Iterator[tuple[str, bytes]]:
    """Yield an example's files: name in its data set, and content."""
    pixels = example.read_image()
    if pixels.dtype != np.uint8:
        # JPEG has 8 bits: brought there as training would.
        pixels = to_rgb(pixels)
    whole = (pixels.shape[0], pixels.shape[1])
    organs = all(scale_of(target) == "organ" for target in example.masks)
    factor = min(1.0, long_side / max(whole)) if organs else 1.0
    shape = (max(1, round(whole[0] * factor)), max(1, round(whole[1] * factor)))
    if factor < 1:
        pixels = resize(pixels, (*shape, *pixels.shape[2:]), anti_aliasing=True, preserve_range=True).round()
    yield f"train/{example.image.stem}.jpg", _encode(_as_image(pixels), "JPEG", quality=quality, subsampling=0)
    for target, path in example.masks.items():
        mask = of_size(example.read_mask(target), whole, path)
        if factor < 1:
            mask = resize(mask.astype(float), shape, anti_aliasing=True) >= 0.5
        yield f"{masks_of('train')}/{path.name}", _encode(Image.fromarray(mask), "PNG", optimize=True)
    for target, path in example.instances.items():
        numbers = of_size(example.read_instances(target), whole, path)
        if factor < 1:
            numbers = resize(numbers, shape, order=0, anti_aliasing=False, preserve_range=True)
        numbered = Image.fromarray(numbers.astype(np.uint16))
        yield f"{instances_of('train')}/{path.name}", _encode(numbered, "PNG", optimize=True)


def _as_image(pixels: NDArray[np.number]) -> Image.Image:
    return Image.fromarray(pixels[..., :3].astype(np.uint8) if pixels.ndim == 3 else pixels.astype(np.uint8))


def _encode(image: Image.Image, kind: str, **options: int | bool) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


class _Target:
    """A folder or a zip file that files are added to."""

    def __init__(self, path: Path, as_zip: bool) -> None:
        # Bytes of all files; of a zip file, once it is closed, with all that it says about them.
        self.size = 0
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        # Images are compressed already.
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) if as_zip else None

    def __enter__(self) -> _Target:
        return self

    def __exit__(self, *_: object) -> None:
        if self._zip:
            self._zip.close()
            self.size = self._path.stat().st_size

    def add(self, name: str, content: bytes) -> None:
        self.size += len(content)
        if self._zip:
            self._zip.writestr(name, content)
            return
        path = self._path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
