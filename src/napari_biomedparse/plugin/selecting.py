"""From a layer and what the viewer shows of it to what is parsed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.axes import Axes, read_axes
from napari_biomedparse.engine.channels import Channel
from napari_biomedparse.engine.level import level_for
from napari_biomedparse.engine.preprocess import ImageError
from napari_biomedparse.engine.selection import Outline, Region, Selection
from napari_biomedparse.plugin.world import data_to_world, pixel_sizes, world_to_data

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

Scope = Literal["slice", "visible", "shapes", "z", "t", "all"]
# The axes that a scope goes along.
_ALONG: dict[Scope, str] = {"slice": "", "visible": "", "shapes": "", "z": "Z", "t": "T", "all": "TZ"}
# Corners of an ellipse's polygon.
_CORNERS = 64
# Colours in which the channels of one axis are mixed, in their order, as napari shows channels that it parts; an axis
# with more channels than colours is not mixed.
MIX: tuple[tuple[float, float, float], ...] = (
    (0, 1, 0),
    (1, 0, 1),
    (0, 1, 1),
    (1, 1, 0),
    (1, 0, 0),
    (0, 0, 1),
)


@dataclass(frozen=True)
class Choices:
    """What the user chose about how an image is read.

    Parameters
    ----------
    scope
        What is parsed.
    axes
        The layer's axes; read from its labels and shape if None.
    mixed
        Whether channels are mixed to colours; otherwise the one shown is parsed.
    window
        Grey values that become black and white; percentiles of the plane if None, and ``"layer"`` for the layer's
        contrast limits.
    beside
        Other layers, of a channel each, that are mixed with the image to colours.
    diameter
        Of the cells, in pixels of the level that is parsed; measured if None.
    colour
        Of an image in colours, the one that is parsed as a grey image: 0 red, 1 green, 2 blue; all of them if None.
    """

    scope: Scope = "slice"
    axes: Axes | None = None
    mixed: bool = False
    window: tuple[float, float] | Literal["layer"] | None = None
    beside: tuple[Image, ...] = ()
    diameter: float | None = None
    colour: int | None = None


def levels_of(layer: Image) -> tuple[Any, ...]:
    """Return the arrays of a layer, finest first."""
    return tuple(layer.data) if layer.multiscale else (layer.data,)


def axes_of(layer: Image) -> Axes:
    """Read what a layer's axes are from its labels and shape.

    Raises
    ------
    AxesError
        If that cannot be told.
    """
    return read_axes(levels_of(layer)[0].shape[: layer.ndim], layer.axis_labels)


def select(viewer: ViewerModel, layer: Image, choices: Choices, prompts: Sequence[str], model: str) -> Selection:
    """Return what of a layer is to be parsed.

    Parameters
    ----------
    viewer
        The viewer whose sliders say which plane is meant, and whose camera which part is visible.
    layer
        The image.
    choices
        What the user chose.
    prompts
        What is looked for; everything if there is none.
    model
        Name or path of the model that is asked; together with the prompts it decides the level.

    Raises
    ------
    ImageError, AxesError
        If there is nothing to parse there.
    """
    levels = levels_of(layer)
    shape = tuple(levels[0].shape[: layer.ndim])
    if 0 in shape:
        raise ImageError(f"{layer.name} has no pixels: its shape is {shape}.")
    axes = choices.axes or axes_of(layer)
    rows, columns = _shown(viewer, layer, axes)
    position = position_of(viewer, layer)
    at: dict[str, int | None] = {}
    for letter in axes.order:
        if letter in (rows, columns, "C"):
            continue
        axis = axes.order.index(letter)
        if letter in _ALONG[choices.scope]:
            at[letter] = None
        elif 0 <= position[axis] < shape[axis]:
            at[letter] = position[axis]
        else:
            raise ImageError(f"{layer.name} has no plane at this position of the sliders; move them into the image.")
    planes = [_plane_shape(level.shape, axes, rows, columns) for level in levels]
    outlines: tuple[Outline, ...] = ()
    region: Region | None = None
    if choices.scope == "visible":
        region = _visible(layer, axes, rows, columns)
    elif choices.scope == "shapes":
        outlines = _outlines(viewer, layer, axes, rows, columns)
        corners = np.concatenate([np.asarray(outline) for outline in outlines])
        top, left = np.floor(corners.min(axis=0)).astype(int)
        bottom, right = np.ceil(corners.max(axis=0)).astype(int) + 1
        region = int(top), int(left), int(bottom), int(right)
    level = level_for(planes, prompts, model, _micrometres(layer, axes, rows), _share(region, planes[0]))
    if level:
        for letter, index in at.items():
            axis = axes.order.index(letter)
            at[letter] = None if index is None else index_on(index, shape[axis], levels[level].shape[axis])
        finest, coarse = planes[0], planes[level]
        share = coarse[0] / finest[0], coarse[1] / finest[1]
        outlines = tuple(tuple((row * share[0], column * share[1]) for row, column in line) for line in outlines)
        region = region and _scaled(region, share)
    return Selection(
        axes.order,
        layer.rgb,
        rows,
        columns,
        at,
        level,
        region,
        outlines,
        _channels(layer, axes, choices, position),
    )


def _plane_shape(shape: Sequence[int], axes: Axes, rows: str, columns: str) -> tuple[int, int]:
    return int(shape[axes.order.index(rows)]), int(shape[axes.order.index(columns)])


def _share(region: Region | None, plane: tuple[int, int]) -> float:
    """Return how long a part of a plane is, of the plane's longer side; 1 for one that lies outside."""
    if region is None:
        return 1.0
    top, left, bottom, right = region
    sides = min(bottom, plane[0]) - max(top, 0), min(right, plane[1]) - max(left, 0)
    return max(sides) / max(plane) if min(sides) > 0 else 1.0


def _scaled(region: Region, share: tuple[float, float]) -> Region:
    top, left, bottom, right = region
    return (
        int(np.floor(top * share[0])),
        int(np.floor(left * share[1])),
        int(np.ceil(bottom * share[0])),
        int(np.ceil(right * share[1])),
    )


def _shown(viewer: ViewerModel, layer: Image, axes: Axes) -> tuple[str, str]:
    """Return the axes on the screen, rows first; in 3D view the last two of them."""
    missing = viewer.dims.ndim - layer.ndim
    shown = [axis - missing for axis in viewer.dims.displayed[-2:]]
    if min(shown) < 0:
        raise ImageError(f"{layer.name} has no plane along the axes on the screen; show its own last two axes.")
    return axes.order[shown[0]], axes.order[shown[1]]


def position_of(viewer: ViewerModel, layer: Image) -> list[int]:
    """Return where the viewer's sliders stand, in pixels of the layer's finest level."""
    return [round(float(value)) for value in world_to_data(viewer, layer, viewer.dims.point)]


def index_on(index: int, finest: int, length: int) -> int:
    """Return the plane of a level in whose labels a plane of the finest level lies.

    Parameters
    ----------
    index
        Of the plane on the finest level; one outside is outside of the other level too.
    finest, length
        How many planes there are on the finest level, and on the other one.
    """
    # Labels of a level lie in the middle of the pixels it was made from, so middles have to be compared.
    return round((index + 0.5) * length / finest - 0.5)


def _micrometres(layer: Image, axes: Axes, rows: str) -> float | None:
    axis = axes.order.index(rows)
    unit = layer.units[axis]
    if str(unit) == "pixel":
        return None
    try:
        return float((1 * unit).to("micrometer").magnitude * pixel_sizes(layer)[axis])
    except Exception:  # a unit of another kind (pint has an exception of its own for each case)
        return None


def _visible(layer: Image, axes: Axes, rows: str, columns: str) -> Region:
    """Return the part of the plane that the canvas shows."""
    corners = np.asarray(layer.corner_pixels, float)
    if layer.multiscale:
        corners = corners * np.asarray(layer.downsample_factors[layer.data_level])[: layer.ndim]
    top, bottom = corners[:, axes.order.index(rows)]
    left, right = corners[:, axes.order.index(columns)]
    region = int(np.floor(top)), int(np.floor(left)), int(np.ceil(bottom)) + 1, int(np.ceil(right)) + 1
    if region[2] - region[0] < 2 or region[3] - region[1] < 2:
        raise ImageError(f"Nothing of {layer.name} is visible; move it into view or choose another scope.")
    return region


def _outlines(viewer: ViewerModel, layer: Image, axes: Axes, rows: str, columns: str) -> tuple[Outline, ...]:
    """Return the outlines of the selected shapes, or of all of a layer where none is selected, on the plane."""
    from napari.layers import Shapes

    chosen: list[Layer] = [other for other in viewer.layers.selection if isinstance(other, Shapes)]
    chosen = chosen or [other for other in viewer.layers if isinstance(other, Shapes) and other.visible]
    if not chosen:
        raise ImageError("There is no Shapes layer; draw a shape around what is to be parsed, or choose another scope.")
    shapes = chosen[-1]
    assert isinstance(shapes, Shapes)
    numbers = sorted(shapes.selected_data) or list(range(shapes.nshapes))
    found: list[Outline] = []
    for number in numbers:
        corners, kind = np.asarray(shapes.data[number], float), shapes.shape_type[number]
        if kind in ("line", "path"):
            continue
        if kind == "ellipse":
            corners = _ellipse(corners)
        world = [_pad(data_to_world(viewer, shapes, corner), viewer) for corner in corners]
        placed = np.array([world_to_data(viewer, layer, point) for point in world])
        pair = placed[:, [axes.order.index(rows), axes.order.index(columns)]]
        found.append(tuple((float(row), float(column)) for row, column in pair))
    if not found:
        raise ImageError(f"{shapes.name} has no shape with an area; draw a rectangle, an ellipse or a polygon.")
    return tuple(found)


def _pad(world: Any, viewer: ViewerModel) -> NDArray[np.float64]:
    """Complete a position of fewer dimensions by where the sliders stand."""
    point = np.array(viewer.dims.point, float)
    world = np.asarray(world)[-len(point) :]
    point[len(point) - len(world) :] = world
    return point


def _ellipse(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the polygon of an ellipse that touches the middles of a rectangle's four sides."""
    centre = corners.mean(axis=0)
    one, two = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)[:, None]
    return np.asarray(centre + np.cos(angles) * one + np.sin(angles) * two)


def _channels(layer: Image, axes: Axes, choices: Choices, position: Sequence[int]) -> tuple[Channel, ...]:
    if layer.rgb:
        return () if choices.colour is None else (Channel(choices.colour, None),)
    window = tuple(map(float, layer.contrast_limits)) if choices.window == "layer" else choices.window
    assert window is None or len(window) == 2
    place = axes.place("C")
    if place is None:
        return () if window is None else (Channel(0, window),)
    count = int(levels_of(layer)[0].shape[place])
    if choices.mixed and count > 1:
        return tuple(Channel(n, window, MIX[n % len(MIX)]) for n in range(count))
    shown = position[place]
    if not 0 <= shown < count:
        raise ImageError(f"{layer.name} has no channel at this position of the sliders; move them into the image.")
    return (Channel(shown, window),)
