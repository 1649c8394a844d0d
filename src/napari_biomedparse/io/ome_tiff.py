"""Labels as OME-TIFF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_biomedparse.io.result import Export, ExportError

NAMESPACE = "napari-biomedparse/labels"
# Where classic TIFF ends, less some room for tags.
_CLASSIC = 2**32 - 2**25


def write_ome_tiff(path: Path, result: Export) -> None:
    """Write labels plane by plane, in the order T, Z, Y, X, with sizes and units.

    uint8 stays as it is; others become uint16 where they fit and uint32 where not. What labels mean is in a map
    annotation, label -> prompt, of the namespace ``napari-biomedparse/labels``.

    Raises
    ------
    ExportError
        If a label is below 0 or does not fit uint32.
    """
    frames = result.frames
    kind = result.dtype(np.uint8) if result.labels.dtype == np.uint8 else result.dtype(np.uint16, np.uint32)
    lengths = dict(zip("TZYX", frames.sizes, strict=True))
    shape = tuple(lengths[letter] for letter in frames.letters)
    if max(shape) >= 2**31:
        raise ExportError("A side of the labels is too long for TIFF; choose OME-Zarr.")
    metadata: dict[str, Any] = {"axes": frames.letters, "Name": result.title}
    if result.length_unit:
        for letter in "XYZ":
            if letter in frames.letters and letter in result.spacing:
                metadata[f"PhysicalSize{letter}"] = float(result.spacing[letter])
                metadata[f"PhysicalSize{letter}Unit"] = result.length_unit.symbol
    if "T" in frames.letters and "T" in result.spacing:
        metadata |= {"TimeIncrement": float(result.spacing["T"]), "TimeIncrementUnit": "s"}
    if result.names:
        metadata["MapAnnotation"] = {
            "Namespace": NAMESPACE,
            # The dictionary of its own keeps prompts apart from the annotation's other entries.
            "Value": {str(label): prompt for label, prompt in sorted(result.names.items())},
        }
    tifffile.imwrite(
        path,
        (plane.astype(kind) for plane in frames.planes()),
        shape=shape,
        dtype=kind,
        bigtiff=int(np.prod(shape, dtype=np.int64)) * kind.itemsize > _CLASSIC,
        ome=True,
        photometric="minisblack",
        compression="zlib",
        metadata=metadata,
    )
