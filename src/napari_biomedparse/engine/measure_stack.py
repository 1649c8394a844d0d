"""A row of numbers per object and frame of labels in two, three or four dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import regionprops

from napari_biomedparse.engine.frames import Frames, numbered
from napari_biomedparse.engine.shape import Shape, eccentricity_of, shape_of, volume_solidity
from napari_biomedparse.engine.units import short_unit
from napari_biomedparse.errors import SettingError
from napari_biomedparse.ontology import find_object

# None where nothing can be said.
Cell = str | int | float | None
# Prompt, frame and section -> its probability, (rows, columns), NaN where that is not known; None if it is nowhere.
Probability = Callable[[str, int, int], NDArray[np.floating[Any]] | None]

_BOX = {"T": ("start", "stop"), "Z": ("front", "back"), "Y": ("top", "bottom"), "X": ("left", "right")}
_STATISTICS = ("mean", "std", "min", "max", "median")


def group_of(prompt: str) -> str:
    """Return the ontology's group of the object that a prompt names; empty for free text."""
    kind = find_object(prompt) if prompt else None
    return kind.group if kind else ""


def stack_columns(
    labels: Frames,
    *,
    spacing: Mapping[str, float] | None = None,
    unit: str | None = None,
    channels: Sequence[str] = (),
    probability: bool = False,
    solid: bool | None = None,
    plane: str = "YX",
) -> list[str]:
    """Return the columns of :func:`measure_stack`'s rows, which are there also if there is no row.

    ``channels`` are the names of the intensities, ``probability`` tells whether there is one; the rest is as there.
    """
    labels = _turned(labels, plane)
    return _Layout.of(labels, spacing or {}, unit, solid, plane).columns(labels, channels, probability)


def measure_stack(
    labels: Frames,
    names: Mapping[int, str],
    *,
    spacing: Mapping[str, float] | None = None,
    unit: str | None = None,
    intensity: Mapping[str, Frames] | None = None,
    probability: Probability | None = None,
    solid: bool | None = None,
    plane: str = "YX",
) -> Iterator[dict[str, Cell]]:
    """Measure every label of every frame; reads one frame of labels and of one channel at a time.

    Parameters
    ----------
    labels
        Integers; 0 and below are background.
    names
        Label -> prompt. A label that is not among them has an empty one.
    spacing
        Sizes of a pixel along Z, Y, X, as far as known. Where Y and X differ, shapes are measured as they are in space.
    unit
        Of the spacing, in any of the usual ways of writing it; None or ``"pixel"`` where it is not known.
    intensity
        Name of a channel -> the channel, of the labels' sizes.
    probability
        Of the prompts.
    solid
        Whether the sections of a frame are measured together as a volume. If not, each counts on its own. By default
        they are if there is more than one, and planes are those of Y and X.
    plane
        The axes of the planes that were parsed, rows first: objects of a coronal or sagittal one lie in Z and X or in Z
        and Y, and ``plane`` counts along the axis that is left.

    Yields
    ------
    dict
        A row per label and frame, with the columns of :func:`stack_columns`: ``label``, ``prompt``, ``object`` (of the
        ontology; empty for free text), ``frame`` (and ``plane``, where sections count on their own) from 0; in pixels
        ``area_px`` or ``volume_px``, ``centroid_*_px`` and the box ``bbox_*_px`` (front, top, left are inside; back,
        bottom, right are not); shapes:

        - ``eccentricity`` of the ellipse with the same second moments, 0 for a circle, 1 for a line of pixels;
        - ``solidity``: area over that of the convex hull; for a volume, of its voxels' corners;
        - ``box_ratio``, ``convex_ratio`` and ``inverse_rotational_inertia`` as in the BiomedParse paper
          (:class:`~napari_biomedparse.engine.shape.Shape`). The convex ratio is the solidity under another name.

        Volumes have ``solidity`` and ``box_ratio`` only, for the others are about planes. Then ``mean_probability`` of
        the object's own prompt over its pixels, None if it is not known on all of them; ``intensity_CHANNEL_``
        ``mean``, ``std`` (of all pixels, not of a sample), ``min``, ``max`` and ``median`` of the finite values, None
        without any; and with spacing and unit ``area_UNIT2`` or ``volume_UNIT3``, ``centroid_*_UNIT``, and
        ``equivalent_diameter_UNIT``, that of the disc or ball of the same size. No number is NaN or infinite.

    Raises
    ------
    SettingError
        If labels are no integers, a channel is not of the labels' sizes, or a spacing is not above 0.
    """
    labels = _turned(labels, plane)
    channels = {name: _turned(channel, plane) for name, channel in (intensity or {}).items()}
    if np.dtype(labels.array.dtype).kind not in "iu":
        raise SettingError(f"Labels must be integers, not {labels.array.dtype}.")
    for name, channel in channels.items():
        if channel.sizes != labels.sizes:
            raise SettingError(f"The channel {name} has T, Z, Y, X = {channel.sizes}, but the labels {labels.sizes}.")
    layout = _Layout.of(labels, spacing or {}, unit, solid, plane)
    columns = layout.columns(labels, list(channels), probability is not None)
    return _rows(layout, columns, labels, names, channels, probability)


@dataclass(frozen=True)
class _Layout:
    """What counts as an object: letters of its axes, sizes of a pixel along them, their unit if known."""

    letters: str
    pixel: tuple[float, ...]
    unit: str | None

    @property
    def solid(self) -> bool:
        return len(self.letters) == 3

    @property
    def extent(self) -> str:
        return "volume" if self.solid else "area"

    @classmethod
    def of(
        cls, labels: Frames, spacing: Mapping[str, float], unit: str | None, solid: bool | None, plane: str
    ) -> _Layout:
        letters = f"Z{plane}" if (plane == "YX" and labels.sizes[1] > 1 if solid is None else solid) else plane
        for letter, size in spacing.items():
            if not (math.isfinite(size) and size > 0):
                raise SettingError(f"The size of a pixel along {letter} must be above 0, not {size}.")
        known = unit is not None and not unit.startswith("pixel") and all(letter in spacing for letter in letters)
        pixel = tuple(float(spacing.get(letter, 1.0)) for letter in letters)
        return cls(letters, pixel, short_unit(unit) if known and unit else None)

    def columns(self, labels: Frames, channels: Sequence[str], probability: bool) -> list[str]:
        places = ["frame"] if self.solid or labels.sizes[1] == 1 else ["frame", "plane"]
        letters = [letter.lower() for letter in self.letters]
        shapes = ["solidity", "box_ratio"] if self.solid else ["eccentricity", "solidity", *Shape._fields]
        columns = ["label", "prompt", "object", *places, f"{self.extent}_px"]
        columns += [f"centroid_{letter}_px" for letter in letters]
        columns += [f"bbox_{_BOX[letter][end]}_px" for end in (0, 1) for letter in self.letters]
        columns += [*shapes, *(["mean_probability"] if probability else [])]
        columns += [f"intensity_{name}_{statistic}" for name in channels for statistic in _STATISTICS]
        if self.unit:
            columns.append(f"{self.extent}_{self.unit}{len(letters)}")
            columns += [f"centroid_{letter}_{self.unit}" for letter in letters]
            columns.append(f"equivalent_diameter_{self.unit}")
        return columns


def axes_across(plane: str) -> tuple[str, str]:
    """Return the axes that ``frame`` and ``plane`` count along where planes have these rows and columns."""
    frame, section = (letter for letter in "TZYX" if letter not in plane)
    return frame, section


def _turned(frames: Frames, plane: str) -> Frames:
    """Return an array with some other axes as the rows and columns of its planes."""
    roles = dict(zip([*axes_across(plane), *plane], "TZYX", strict=True))
    return Frames(frames.array, "".join(roles.get(letter, letter) for letter in frames.axes), frames.at)


def _rows(
    layout: _Layout,
    columns: Sequence[str],
    labels: Frames,
    names: Mapping[int, str],
    channels: Mapping[str, Frames],
    probability: Probability | None,
) -> Iterator[dict[str, Cell]]:
    frames, depth, _, _ = labels.sizes
    for t in range(frames):
        for z in [None] if layout.solid else range(depth):
            values, known = numbered(labels.volume(t) if z is None else labels.plane(t, z))
            regions = regionprops(values)
            found = [int(known[region.label]) for region in regions]
            prompts = [names.get(label, "") for label in found]
            likely = None
            if probability is not None:
                sections = range(depth) if z is None else [z]
                likely = _mean_probabilities(regions, prompts, probability, t, sections, solid=layout.solid)
            seen = [
                _intensities(regions, channel.volume(t) if z is None else channel.plane(t, z))
                for channel in channels.values()
            ]
            for n, region in enumerate(regions):
                kind = find_object(prompts[n]) if prompts[n] else None
                cells: list[Cell] = [found[n], prompts[n], kind.id if kind else "", t]
                if "plane" in columns:
                    cells.append(z)
                cells += _size(region)
                cells += _shape(region, layout)
                if likely is not None:
                    cells.append(likely[n])
                for statistics in seen:
                    cells += statistics[n]
                if layout.unit:
                    cells += _physical(region, layout)
                yield dict(zip(columns, map(_rounded, cells), strict=True))


def _size(region: Any) -> list[Cell]:
    dimensions = len(region.bbox) // 2
    return [int(region.area), *map(float, region.centroid), *(int(side) for side in region.bbox[: 2 * dimensions])]


def _shape(region: Any, layout: _Layout) -> list[Cell]:
    mask: NDArray[np.bool_] = region.image
    if layout.solid:
        return [volume_solidity(mask), int(region.area) / mask.size]
    pixel = layout.pixel[0], layout.pixel[1]
    shape = shape_of(mask, pixel)
    assert shape is not None
    return [eccentricity_of(mask, pixel), shape.convex_ratio, *shape]


def _physical(region: Any, layout: _Layout) -> list[Cell]:
    extent = float(region.area) * math.prod(layout.pixel)
    diameter = 2 * math.sqrt(extent / math.pi)
    if layout.solid:
        diameter = (6 * extent / math.pi) ** (1 / 3)
    centre = [float(place) * side for place, side in zip(region.centroid, layout.pixel, strict=True)]
    return [extent, *centre, diameter]


def _intensities(regions: Sequence[Any], image: NDArray[Any]) -> list[list[Cell]]:
    """Return mean, standard deviation, least, greatest and middle value of each object."""
    statistics: list[list[Cell]] = []
    for region in regions:
        values = image[region.slice][region.image].astype(np.float64)
        values = values[np.isfinite(values)]
        if values.size:
            # Squares of numbers near the end of the range overflow; such a cell stays empty.
            with np.errstate(over="ignore", invalid="ignore"):
                figures = [float(figure(values)) for figure in (np.mean, np.std, np.min, np.max, np.median)]
            statistics.append([*figures])
        else:
            statistics.append([None] * len(_STATISTICS))
    return statistics


def _mean_probabilities(
    regions: Sequence[Any],
    prompts: Sequence[str],
    probability: Probability,
    t: int,
    sections: Sequence[int],
    solid: bool,
) -> list[Cell]:
    """Return the mean probability of each object; a section without one leaves an object that lies in it without."""
    sums = [0.0] * len(regions)
    unknown: set[int] = set()
    for prompt in dict.fromkeys(prompts):
        chosen = [n for n, other in enumerate(prompts) if other == prompt]
        for z in sections:
            here = [n for n in chosen if not solid or regions[n].bbox[0] <= z < regions[n].bbox[3]]
            plane = probability(prompt, t, z) if here and prompt else None
            for n in here:
                place, image = regions[n].slice, regions[n].image
                if solid:
                    image, place = image[z - regions[n].bbox[0]], place[1:]
                if plane is None:
                    unknown.add(n)
                else:
                    sums[n] += float(plane[place][image].sum(dtype=np.float64))
    return [None if n in unknown else sums[n] / float(region.area) for n, region in enumerate(regions)]


def _rounded(cell: Cell) -> Cell:
    if isinstance(cell, float):
        return float(f"{cell:.7g}") if math.isfinite(cell) else None
    return cell
