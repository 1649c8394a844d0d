"""Opens OME-Zarr with labels: named, coloured, in their place, read where they are looked at."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pint
from numpy.typing import NDArray

from napari_biomedparse.io.label_store import ATTRIBUTE
from napari_biomedparse.io.read import ReadError
from napari_biomedparse.io.result import need
from napari_biomedparse.ontology.palette import palette, shade

if TYPE_CHECKING:
    from napari.utils.colormaps import DirectLabelColormap

ENDING = ".ome.zarr"
# Of each prompt's colour, where there are too many labels for each to have a colour written for it.
SHADES = 16

LayerData = tuple[Any, dict[str, Any], str]


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """Return what opens a folder if it is OME-Zarr with labels, finished or begun; None for anything else.

    Parameters
    ----------
    path
        A folder whose name ends with ``.ome.zarr``.
    """
    if not isinstance(path, str) or not path.rstrip("/\\").lower().endswith(ENDING):
        return None
    about = _attributes(Path(path))
    return read_labels if "image-label" in about.get("ome", about) or ATTRIBUTE in about else None


def read_labels(path: str | list[str]) -> list[LayerData]:
    """Return one labels layer.

    Its table comes from a Parquet file of the same name beside the folder, if there is one with a column ``label``.

    Raises
    ------
    ReadError
        If the labels are not finished, or damaged.
    ExportError
        If zarr, or for a table pyarrow, is missing.
    """
    folder = Path(path if isinstance(path, str) else path[0])
    about = _attributes(folder)
    ome, ours = about.get("ome", about), about.get(ATTRIBUTE, {})
    if "image-label" not in ome:
        raise ReadError(
            f"{folder} is not finished: its labels are still being written, or writing was stopped. "
            "Run what writes them again, to its end, and open it then."
        )
    try:
        multiscales = ome["multiscales"][0]
        levels = _levels(folder, [dataset["path"] for dataset in multiscales["datasets"]])
        settings = _placed(multiscales, levels[0].ndim)
        names, colours = _said(ome["image-label"])
    except (KeyError, IndexError, TypeError, ValueError, OSError) as error:
        raise ReadError(f"{folder} cannot be read as labels, it is damaged: {error}") from error
    table = _table(folder, names)
    settings |= {"name": str(multiscales.get("name") or folder.name[: -len(ENDING)])}
    settings |= {
        "multiscale": len(levels) > 1,
        "metadata": {ATTRIBUTE: {**ours, **({"names": names} if names else {})}},
    }
    if table is not None:
        settings["features"] = table
    colormap = _colormap(colours, table, ours.get("prompts", {}))
    if colormap is not None:
        settings["colormap"] = colormap
    return [(levels if len(levels) > 1 else levels[0], settings, "labels")]


def _attributes(folder: Path) -> dict[str, Any]:
    """Return the attributes of a group, none if there is no group; OME-Zarr 0.5 is Zarr 3, 0.4 is Zarr 2."""
    for name, key in (("zarr.json", "attributes"), (".zattrs", None)):
        try:
            content = json.loads((folder / name).read_bytes())
            attributes = content[key] if key else content
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if isinstance(attributes, dict):
            return attributes
    return {}


def _levels(folder: Path, paths: list[str]) -> list[Any]:
    zarr = need("zarr", "Opening OME-Zarr", "napari-biomedparse[io]")
    import dask.array

    group = zarr.open_group(str(folder), mode="r")
    return [dask.array.from_zarr(group[path]) for path in paths]  # type: ignore[no-untyped-call]


def _placed(multiscales: Mapping[str, Any], ndim: int) -> dict[str, Any]:
    """Return the arguments of a layer that say where it lies and what its axes are."""
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in multiscales["axes"]]
    scale, translate = np.ones(ndim), np.zeros(ndim)
    first = multiscales["datasets"][0].get("coordinateTransformations", ())
    for step in (*first, *multiscales.get("coordinateTransformations", ())):
        factor = np.asarray(step.get("scale", 1.0), float)
        scale, translate = scale * factor, translate * factor + np.asarray(step.get("translation", 0.0), float)
    return {
        "scale": scale,
        "translate": translate,
        "units": tuple(_unit(axis.get("unit")) for axis in axes),
        "axis_labels": tuple(str(axis["name"]) for axis in axes),
    }


def _unit(name: str | None) -> str:
    try:
        return str(pint.Unit(name)) if name else "pixel"
    except (pint.UndefinedUnitError, ValueError):
        return "pixel"


def _said(label: Mapping[str, Any]) -> tuple[dict[int, str], dict[int, list[int]]]:
    """Return the names and the colours, 0-255, that the metadata has of labels."""
    names = {int(entry["label-value"]): entry.get("name") for entry in label.get("properties") or ()}
    colours = {int(entry["label-value"]): entry.get("rgba") for entry in label.get("colors") or ()}
    return (
        {value: str(name) for value, name in names.items() if name},
        {value: [int(part) for part in rgba] for value, rgba in colours.items() if rgba},
    )


def _table(folder: Path, names: Mapping[int, str]) -> pd.DataFrame | None:
    """Return a row for each object; napari shows that whose ``index`` is the label."""
    file = folder.with_name(folder.name[: -len(ENDING)] + ".parquet")
    if file.is_file():
        need("pyarrow", "Opening the table beside the labels", "napari-biomedparse[export]")
        try:
            table = pd.read_parquet(file)
        except (OSError, ValueError) as error:
            raise ReadError(f"{file} cannot be read; repair it, or move it away to open the labels alone.") from error
        if "label" in table:
            table = table.drop(columns="index", errors="ignore").reset_index(drop=True)
            table.insert(0, "index", table["label"].astype(np.int64))
            return table
    return pd.DataFrame({"index": list(names), "prompt": list(names.values())}) if names else None


def _colormap(
    colours: Mapping[int, list[int]], table: pd.DataFrame | None, prompts: Mapping[str, list[int]]
) -> DirectLabelColormap | None:
    """Return the colours of labels: their own, else shades of their prompts'; None if nothing is known of them."""
    from napari_biomedparse.plugin.many_colours import table_colours

    if colours:
        labels = np.fromiter(colours, np.int64)
        return table_colours(labels, np.arange(len(labels)), [_rgba(colour) for colour in colours.values()])
    if table is None or "prompt" not in table:
        return None
    named = table.dropna(subset=["prompt"])
    which, found = pd.factorize(named["prompt"])
    own = [_rgba(prompts[name]) if name in prompts else palette([str(name)])[0] for name in found]
    values: NDArray[np.int64] = named["index"].to_numpy(np.int64)
    shades = [shade(colour, number) for colour in own for number in range(SHADES)]
    return table_colours(values, which * SHADES + values % SHADES, shades)


def _rgba(colour: list[int]) -> tuple[float, float, float, float]:
    red, green, blue, alpha = (part / 255 for part in colour)
    return red, green, blue, alpha
