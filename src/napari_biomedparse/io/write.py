"""Write label images as OME-TIFF with their names in JSON, tables as CSV and pictures."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_biomedparse.engine.labels import LabelImage
from napari_biomedparse.engine.measure import PixelSize
from napari_biomedparse.engine.units import UNITS


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
    partial = path.with_name(path.name.removesuffix(".ome.tif") + ".partial.ome.tif")
    tifffile.imwrite(partial, labels.values.astype(dtype), ome=True, metadata=metadata, compression="zlib")
    partial.replace(path)


def write_picture(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write a colour picture, uint8 (H, W, 3), in the format that the file's ending names."""
    Image.fromarray(rgb).save(path)


def write_json(path: Path, content: object) -> None:
    """Write ``content`` as indented JSON."""
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_table(path: Path, rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> None:
    """Write rows as CSV with the given columns, also when there is no row; None becomes an empty cell."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
