"""Layers that hold one channel each, as napari opens most files: mixed into one picture, and told of as one image."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_biomedparse.engine.axes import AxesError
from napari_biomedparse.engine.channels import Channel
from napari_biomedparse.engine.preprocess import ImageError
from napari_biomedparse.engine.recipe import Recipe
from napari_biomedparse.engine.selection import Place, Selection
from napari_biomedparse.engine.stack import Stack
from napari_biomedparse.plugin.layers import file_of
from napari_biomedparse.plugin.selecting import axes_of, levels_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer


@dataclass(frozen=True)
class Joined:
    """Where the mixed channels lie in the one file that all of them are from."""

    path: str
    channels: tuple[Channel, ...]

    def tell(self, recipe: Recipe) -> Recipe:
        """Return a recipe of several layers as one of this file."""
        return replace(recipe, selection=replace(recipe.selection, channels=self.channels), source=self.path)


def siblings(viewer: ViewerModel, layer: Image) -> list[Image]:
    """Return the other image layers that may be channels of the same image, lowest first.

    They are grey and have the layer's shape, kind of numbers, axis labels and transforms. A layer of colours, or with
    an axis of channels already, has none.
    """
    from napari.layers import Image

    try:
        own = "C" in axes_of(layer).order
    except AxesError:
        own = False
    if layer.rgb or own:
        return []
    return [other for other in viewer.layers if isinstance(other, Image) and other is not layer and _fits(other, layer)]


def in_order(viewer: ViewerModel, layer: Image, beside: Collection[Image]) -> list[Image]:
    """Return a layer and those that are mixed in, lowest first: the order of their channels.

    Raises
    ------
    ImageError
        If one of them does not fit the layer, or not any more.
    """
    if not beside:
        return [layer]
    fitting = siblings(viewer, layer)
    for other in beside:
        if other not in fitting:
            raise ImageError(
                f"{other.name} cannot be mixed with {layer.name}: that needs grey layers of the same shape, axes and "
                "position without an axis of channels. Untick it below Reading > Mix with."
            )
    return [other for other in viewer.layers if other is layer or other in beside]


def mixed_stack(
    layers: Sequence[Image], layer: Image, selection: Selection, window: tuple[float, float] | Literal["layer"] | None
) -> Stack:
    """Return what is selected of one of some layers, with each of them as a channel in its colormap's brightest colour.

    Raises
    ------
    ImageError
        If it was said that the layer has an axis of channels itself.
    """
    if "C" in selection.axes:
        raise ImageError(
            f"{layer.name} has the axes {selection.axes}, with channels of its own, so nothing can be mixed in; "
            "untick the others, or correct the axes."
        )
    channels = tuple(
        Channel(n, _limits(other) if window == "layer" else window, _colour(other)) for n, other in enumerate(layers)
    )
    return _stack(layers, layer, replace(selection, channels=channels))


def stack_again(viewer: ViewerModel, layer: Image, beside: Collection[Image], selection: Selection) -> Stack:
    """Return what a recipe selects of a layer, or of as many layers as it has channels.

    Raises
    ------
    ImageError, AxesError
        If the layers are not such that the recipe can be followed.
    """
    whole = len(selection.axes) == layer.ndim or "C" not in selection.axes or layer.rgb
    if whole or (len(selection.channels) < 2 and not beside):
        return Stack(levels_of(layer), selection, layer.name)
    layers = in_order(viewer, layer, beside)
    if len(layers) != len(selection.channels):
        raise ImageError(
            f"This was made from {len(selection.channels)} channels: tick as many layers below Reading > Mix with, "
            f"{layer.name} included, or choose an image that has them along an axis C."
        )
    channels = tuple(replace(channel, index=n) for n, channel in enumerate(selection.channels))
    return _stack(layers, layer, replace(selection, axes=selection.axes.replace("C", ""), channels=channels))


def recorded(stack: Stack) -> Selection:
    """Return the selection for a recipe, which knows one array only: layers of a channel each lie along a first C."""
    selection = stack.selection
    return replace(selection, axes="C" + selection.axes) if stack.apart else selection


def source_of(layer: Image, stack: Stack) -> str:
    """Return the file of a layer, or what the file has to hold that is needed in place of several layers."""
    if stack.apart:
        return f"IMAGE with an axis C of {stack.name}"
    return file_of(layer)


def find_in_file(stack: Stack, places: Sequence[Place], path: str | None) -> Generator[Joined, None, None]:
    """Yield where in a file the channels of a stack's layers lie, if they are all there.

    All pixels that were parsed are compared, so that a recipe with this file gives the same labels.

    Parameters
    ----------
    stack
        Of one or several layers; there is nothing to find for one.
    places
        The planes that were parsed.
    path
        The file that the layers say they are from.
    """
    if not (path and stack.apart):
        return
    from napari_biomedparse.io.read import read_array

    selection = recorded(stack)
    try:
        array = read_array(path, selection.axes, level=selection.level)
        found = tuple(
            replace(channel, index=index)
            for channel in stack.selection.channels
            if (index := _index_in(array, stack, channel, selection, places)) is not None
        )
    except Exception:  # each format's reader has exceptions of its own; the file is not needed for what was found
        return
    if len(found) == len(stack.apart):
        yield Joined(path, found)


def common_path(layers: Sequence[Image]) -> str | None:
    """Return the file that all of some layers are from, None if there is no such file."""
    paths = {str(layer.source.path or "") for layer in layers}
    return paths.pop() or None if len(paths) == 1 else None


def _stack(layers: Sequence[Image], layer: Image, selection: Selection) -> Stack:
    name = ", ".join(other.name for other in layers)
    return Stack(levels_of(layer), selection, name, tuple(levels_of(other) for other in layers))


def _fits(other: Image, layer: Image) -> bool:
    one, two = levels_of(other), levels_of(layer)
    return (
        not other.rgb
        and [tuple(level.shape) for level in one] == [tuple(level.shape) for level in two]
        and np.dtype(one[0].dtype).kind == np.dtype(two[0].dtype).kind
        and other.axis_labels == layer.axis_labels
        and other.units == layer.units
        and all(np.allclose(_place(other, name), _place(layer, name)) for name in ("scale", "translate", "shear"))
        and np.allclose(_place(other, "rotate"), _place(layer, "rotate"))
        and np.allclose(other.affine.affine_matrix, layer.affine.affine_matrix)
    )


def _place(layer: Layer, name: str) -> Any:
    return np.asarray(getattr(layer, name), float)


def _limits(layer: Image) -> tuple[float, float]:
    low, high = layer.contrast_limits
    return float(low), float(high)


def _colour(layer: Image) -> tuple[float, float, float]:
    red, green, blue = (float(part) for part in np.clip(layer.colormap.map(1.0)[0, :3], 0, 1))
    return red, green, blue


def _index_in(array: Any, stack: Stack, channel: Channel, selection: Selection, places: Sequence[Place]) -> int | None:
    """Return which channel of an array has the pixels of one of a stack's, None if none has."""
    own = stack.array_of(channel.index)
    if tuple(array.shape[1:]) != tuple(own.shape) or array.dtype != own.dtype:
        return None
    part = stack.selection.part(stack.shape)
    for index in range(array.shape[0]):
        if all(
            np.array_equal(
                np.asarray(own[stack.selection.index(place, 0, part)]),
                np.asarray(array[selection.index(place, index, part)]),
            )
            for place in places
        ):
            return index
    return None
