"""Write label images as OME-TIFF with their names in JSON, tables as CSV and pictures.

A file is whole or not there; what cannot be written is a :class:`WriteError`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_biomedparse.engine.labels import LabelImage
from napari_biomedparse.engine.measure import PixelSize
from napari_biomedparse.engine.units import UNITS
from napari_biomedparse.errors import BiomedParseError
from napari_biomedparse.files.replacing import reason, replacing


class WriteError(OSError, BiomedParseError):
    """A file that cannot be written; the message says why and what to do."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(error.errno, reason(error))
        self.path = path

    def __str__(self) -> str:
        return f"{self.path} was not written: {self.strerror}; make room, or choose another folder."


def write_labels(path: Path, labels: LabelImage, pixel_size: PixelSize | None = None) -> None:
    """Write a label image as OME-TIFF, uint16 where its values fit and uint32 otherwise.

    Parameters
    ----------
    path
        File to write, ending in ``.ome.tif``.
    labels
        The label image.
    pixel_size
        Kept in the OME metadata.
    """
    dtype = np.uint16 if labels.values.max(initial=0) < 1 << 16 else np.uint32
    metadata: dict[str, Any] = {"axes": "YX", "Name": path.name.removesuffix(".ome.tif")}
    if pixel_size:
        unit = UNITS[pixel_size.unit].symbol if pixel_size.unit in UNITS else pixel_size.unit
        metadata |= {"PhysicalSizeY": pixel_size.y, "PhysicalSizeYUnit": unit}
        metadata |= {"PhysicalSizeX": pixel_size.x, "PhysicalSizeXUnit": unit}
    with _whole(path) as partial:
        tifffile.imwrite(partial, labels.values.astype(dtype), ome=True, metadata=metadata, compression="zlib")


def write_picture(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write a colour picture, uint8 (H, W, 3), in the format that the file's ending names."""
    with _whole(path) as partial:
        Image.fromarray(rgb).save(partial)


def write_json(path: Path, content: object) -> None:
    """Write ``content`` as indented JSON."""
    with _whole(path) as partial:
        partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_table(path: Path, rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> None:
    """Write rows as CSV with the given columns, also when there is no row; None becomes an empty cell."""
    with _whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Give a place to write to, and put what is there to ``path`` in the end."""
    try:
        with replacing(path) as partial:
            yield partial
    except OSError as error:
        raise WriteError(path, error) from error
