"""What OME-Zarr 0.5 says about labels: axes, sizes, levels, names and colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_biomedparse.engine.units import UNITS, short_unit
from napari_biomedparse.io.result import RGBA, ExportError, in_bytes, need

# Side of the plane below which there is no coarser level.
COARSEST = 256


def need_zarr() -> Any:
    """Return zarr.

    Raises
    ------
    ExportError
        If it is missing or older than 3.
    """
    zarr = need("zarr", "Writing OME-Zarr", "napari-biomedparse[io]")
    if int(zarr.__version__.partition(".")[0]) < 3:
        raise ExportError(f"Writing OME-Zarr needs zarr 3, but {zarr.__version__} is installed; choose another format.")
    return zarr


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return height and width of each level's planes, the finest first; every second row and column make the next."""
    sizes = [(height, width)]
    while max(sizes[-1]) > COARSEST:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


def ome_attributes(
    axes: str,
    levels: int,
    names: Mapping[int, str],
    colours: Mapping[int, RGBA],
    spacing: Mapping[str, float],
    unit: str | None,
    title: str,
) -> dict[str, Any]:
    """Return the ``ome`` attributes of an image-label group (https://ngff.openmicroscopy.org/0.5/#labels-md).

    Parameters
    ----------
    axes
        Those of T, Z, Y and X that the labels have, in this order.
    levels
        How many there are, named ``"0"``, ``"1"`` and so on.
    names, colours
        Label -> prompt, label -> colour; nothing is said of what is empty. Only labels that have a name have a colour.
    spacing
        Sizes of a pixel of the finest level along Z, Y, X in ``unit`` and of a frame along T in seconds.
    unit
        Unit of length, in any usual way of writing it, if it is known.
    title
        Name of the labels.
    """
    labels = sorted(names)
    said: dict[str, Any] = {}
    if coloured := [label for label in labels if label in colours]:
        said["colors"] = [{"label-value": label, "rgba": in_bytes(colours[label])} for label in coloured]
    if labels:
        said["properties"] = [{"label-value": label, "name": names[label]} for label in labels]
    return {
        "version": "0.5",
        "multiscales": [_multiscales(axes, levels, spacing, unit, title)],
        "image-label": said,
    }


def _multiscales(
    letters: str, levels: int, spacing: Mapping[str, float], unit: str | None, title: str
) -> dict[str, Any]:
    length = UNITS.get(short_unit(unit)) if unit else None
    axes: list[dict[str, str]] = []
    for letter in letters:
        axis = {"name": letter.lower(), "type": "time" if letter == "T" else "space"}
        if letter == "T" and "T" in spacing:
            axis["unit"] = "second"
        if letter != "T" and length and letter in spacing:
            axis["unit"] = length.name
        axes.append(axis)
    datasets = []
    for number in range(levels):
        # Sampled pixels stay where they were, so levels differ in scale and not in place.
        scale = [float(spacing.get(letter, 1.0)) * (2**number if letter in "YX" else 1) for letter in letters]
        datasets.append({"path": str(number), "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    return {"name": title, "axes": axes, "datasets": datasets, "type": "nearest"}
