"""NIfTI volumes, read slice by slice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.io.reading import OpenedImage, ReadError, first_line, lazy_array, need

SUFFIXES = (".nii.gz", ".nii")
# The patient's sides towards which sections, rows and columns grow: superior, posterior, left.
AXIAL = "SPL"
# Units of NIfTI by their length in mm and s; what is not said is mm by custom, and no time.
MILLIMETRES = {"meter": 1000.0, "mm": 1.0, "micron": 1e-3, "unknown": 1.0}
SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}


def is_nifti(path: Path) -> bool:
    """Return whether a path names a NIfTI file."""
    return path.name.lower().endswith(SUFFIXES)


def open_nifti(path: Path) -> OpenedImage:
    """Open a volume, or a series of volumes along T or C, as axial planes; voxel sizes are in mm.

    A file that is not compressed is read slice by slice as it is stored, a compressed one volume by volume.

    Raises
    ------
    ReadError
        If it is damaged or not of real numbers, or nibabel is missing.
    """
    nibabel = need("nibabel", "Reading NIfTI")
    try:
        file = nibabel.load(path)
        voxels = _Voxels(path, file.dataobj)
        array, rgb = voxels.lazy(), voxels.colours > 0
        turn = nibabel.orientations.ornt_transform(
            nibabel.orientations.io_orientation(file.affine), nibabel.orientations.axcodes2ornt(tuple(AXIAL))
        )
        sizes = _spacing(nibabel, file, turn)
    except ReadError:
        raise
    except Exception as error:
        raise ReadError(f"{path} cannot be read: {first_line(error)}") from error
    order = [int(axis) for axis in np.argsort(turn[:, 0])]
    steps = tuple(slice(None, None, int(flip)) for flip in turn[:, 1])
    # From X, Y, Z, T, C (NIfTI 1.1, dim) to T, C and the turned axes.
    array = array[steps].transpose([3, 4, *order] + ([5] if rgb else []))
    lengths = dict(zip("TCZYX", array.shape, strict=False))
    axes = "".join(axis for axis, length in lengths.items() if axis in "YX" or length > 1)
    array = array[tuple(slice(None) if axis in axes else 0 for axis in lengths)]
    spacing = {axis: size for axis, size in sizes.items() if axis in axes and size > 0}
    return OpenedImage(path, None, (array,), axes, rgb, spacing, "mm" if spacing.keys() & set("ZYX") else None)


def _spacing(nibabel: Any, file: Any, turn: NDArray[np.float64]) -> dict[str, float]:
    space, time = file.header.get_xyzt_units()
    sizes = nibabel.affines.voxel_sizes(file.affine) * MILLIMETRES.get(space, 1.0)
    found = {"ZYX"[int(to)]: float(size) for (to, _), size in zip(turn, sizes, strict=True)}
    zooms = file.header.get_zooms()
    if len(zooms) > 3 and time in SECONDS:
        found["T"] = float(zooms[3]) * SECONDS[time]
    return found


class _Voxels:
    """Voxels of a NIfTI file along its five axes, and colours; scaled values are float32."""

    def __init__(self, path: Path, stored: Any) -> None:
        if not 2 <= len(stored.shape) <= 5:
            raise ReadError(f"{path} has the shape {stored.shape}; a volume has three axes, perhaps time and channels.")
        self._path = path
        self._stored = stored
        self._shape: tuple[int, ...] = (*stored.shape, *[1] * (5 - len(stored.shape)))
        self._compressed = path.name.lower().endswith(".gz")
        kept = stored.dtype.newbyteorder("=")
        self.colours = len(kept.names or ())
        if kept.kind == "c" or (self.colours and self.colours not in (3, 4)):
            raise ReadError(f"{path} holds values of the type {kept}; only real numbers and colours can be read.")
        whole = (float(stored.slope), float(stored.inter)) == (1.0, 0.0) and kept.kind in "iub"
        self._dtype: np.dtype[Any] = np.dtype(np.uint8) if self.colours else kept if whole else np.dtype(np.float32)
        if not self._compressed:
            self._check_whole()

    def lazy(self) -> Any:
        """Return the voxels as a lazy array: a slice for a chunk, or a volume where the file is compressed."""
        whole = 3 if self._compressed else 2
        chunks = [(length,) if axis < whole else (1,) * length for axis, length in enumerate(self._shape)]
        if self.colours:
            chunks.append((self.colours,))
        return lazy_array(lambda chunk: self._read(chunk, whole), chunks, self._dtype)

    def _read(self, chunk: tuple[int, ...], whole: int) -> NDArray[Any]:
        own = len(self._stored.shape)
        cut = [slice(None) if axis < whole else slice(chunk[axis], chunk[axis] + 1) for axis in range(own)]
        try:
            values: NDArray[Any] = np.asanyarray(self._stored[tuple(cut)])
        except Exception as error:
            reason = first_line(error)
            raise ReadError(f"{self._path} is damaged or cut short ({reason}); download it again.") from error
        if values.dtype.names:
            values = np.stack([values[name] for name in values.dtype.names], axis=-1)
        colours = values.shape[own:]
        return values.reshape(*values.shape[:own], *[1] * (5 - own), *colours).astype(self._dtype, copy=False)

    def _check_whole(self) -> None:
        needed = int(self._stored.offset) + int(np.prod(self._shape)) * self._stored.dtype.itemsize
        length = self._path.stat().st_size
        if length < needed:
            raise ReadError(f"{self._path} is cut short: {length} of {needed} bytes are there. Download it again.")
