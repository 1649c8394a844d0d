"""Inputs of the fault runs: real images, laid out with their mirror images until they are large."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray
from skimage.io import imread

SAMPLES = Path(__file__).parents[2] / "resources/samples"


def make_images(folder: Path, side: int, sections: int) -> list[Path]:
    """Write the inputs and return their paths.

    Parameters
    ----------
    folder
        Where to; made if needed.
    side
        Height and width of the large image, in pixels.
    sections
        Of the stack; without any, no stack is written.

    Returns
    -------
    list of Path
        ``nuclei.tif`` (side, side), ``tissue.png`` (256, 320, 3), and an OME-Zarr ``heart`` (sections, 256, 256).
    """
    folder.mkdir(parents=True, exist_ok=True)
    large = folder / "nuclei.tif"
    tifffile.imwrite(large, mirrored(imread(SAMPLES / "fluorescent_nuclei.png"), side), tile=(256, 256))
    small = folder / "tissue.png"
    small.write_bytes((SAMPLES / "histology.png").read_bytes())
    if not sections:
        return [large, small]
    stack = folder / "heart.zarr"
    write_stack(stack, imread(SAMPLES / "heart_mri.tif")[:sections])
    return [large, stack, small]


def mirrored(image: NDArray[np.generic], side: int) -> NDArray[np.generic]:
    """Return a (side, side) image of an (H, W) one and its mirror images, so that there are no seams."""
    height, width = image.shape
    missing = ((0, max(0, side - height)), (0, max(0, side - width)))
    return np.pad(image, missing, mode="symmetric")[:side, :side]


def write_stack(path: Path, planes: NDArray[np.generic]) -> None:
    """Write a (Z, H, W) image as OME-Zarr 0.5 with one level, a chunk for each plane."""
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    level = group.create_array(
        "0", shape=planes.shape, chunks=(1, *planes.shape[1:]), dtype=planes.dtype, dimension_names=["z", "y", "x"]
    )
    level[:] = planes
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"name": "heart", "axes": axes, "datasets": datasets}]}
