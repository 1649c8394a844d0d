"""What is read of any accepted file: its planes, and how they lie in space."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.io import dicom, volumes
from napari_biomedparse.io.reading import ReadError

NIFTI, DICOM = volumes.SUFFIXES, dicom.SUFFIXES
TIFF = (".tif", ".tiff")
# Formats that blur values, so that no more than two can be told apart.
LOSSY = (".jpg", ".jpeg")
PICTURE = (".png", *LOSSY, ".bmp")
ENDINGS = (*NIFTI, *PICTURE, *TIFF, *DICOM)


def has_ending(path: Path | str, endings: tuple[str, ...]) -> bool:
    """Return whether a path has one of these endings, in capitals or not."""
    return str(path).lower().endswith(endings)


@dataclass(frozen=True)
class Volume:
    """Planes of one image or mask.

    Attributes
    ----------
    planes
        (S, H, W), or (S, H, W, 3 or 4) for colour.
    flat
        Whether the file holds just one plane.
    axes
        For scans, the patient's sides to which slice, row and column grow, for example ``"SPL"``.
    affine
        Where it is known, voxel (slice, row, column, 1) to millimetres (right, anterior, superior, 1), float (4, 4).
    pixel
        Height and width of a pixel, both in one unit.
    """

    planes: NDArray[Any]
    flat: bool
    axes: str = ""
    affine: NDArray[np.float64] | None = None
    pixel: tuple[float, float] = (1.0, 1.0)

    @property
    def square(self) -> tuple[int, int]:
        """Height and width of its planes where pixels are square, as high and wide as the finer of their sides."""
        finer = min(self.pixel)
        height, width = (
            round(length * side / finer) for length, side in zip(self.planes.shape[1:3], self.pixel, strict=True)
        )
        return height, width


def check_aligned(image: Volume, mask: Volume, path: Path) -> None:
    """Refuse a mask that does not lie on its image.

    Raises
    ------
    ReadError
        If their shapes, orientations or places in space differ.
    """
    if image.planes.shape[:3] != mask.planes.shape[:3]:
        shapes = " and ".join("x".join(map(str, one.planes.shape[:3])) for one in (mask, image))
        raise ReadError(f"{path} and its image differ in size: {shapes} (slices x height x width).")
    if image.axes and mask.axes and image.axes != mask.axes:
        raise ReadError(f"{path} and its image are cut in different directions ({mask.axes} and {image.axes}).")
    # A tenth of a millimetre per voxel and a millimetre in all is more than rounding in headers makes.
    limits = [0.1, 0.1, 0.1, 1.0]
    placed = image.affine is not None and mask.affine is not None
    if placed and not np.allclose(image.affine, mask.affine, rtol=0, atol=limits):  # type: ignore[arg-type]
        raise ReadError(f"{path} and its image lie in different places (their NIfTI affines differ).")
