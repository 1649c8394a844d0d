"""Typed sizes of the network, and the two presets.

The sizes of ``biomedparse-v1`` are those of the published model (Zhao et al., Nature Methods 22, 166-176, 2025,
and its released configuration). ``mini`` keeps the same architecture and shrinks every width.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from napari_biomedparse.errors import SettingError

# Key of the configuration in the head of a file of weights.
CONFIG_KEY = "napari_biomedparse.config"


@dataclass(frozen=True)
class ImageEncoderConfig:
    """Sizes of the FocalNet image encoder.

    Parameters
    ----------
    width
        Channels of the first stage; each later stage doubles them.
    depths
        Blocks per stage (four stages, strides 4, 8, 16, 32).
    focal_levels
        Depthwise convolutions per modulation; level ``l`` has kernel ``focal_window + 2 * l``.
    focal_window
        Kernel of the first focal level in pixels of that stage.
    mlp_ratio
        Hidden over outer width of each block's MLP.
    layer_scale
        Starting value of the per-channel scale of both residual branches.
    drop_path
        Largest probability of skipping a residual branch in training, reached linearly over the blocks.
    """

    width: int = 192
    depths: tuple[int, int, int, int] = (2, 2, 18, 2)
    focal_levels: int = 4
    focal_window: int = 3
    mlp_ratio: int = 4
    layer_scale: float = 1e-4
    drop_path: float = 0.3

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Channels of the four stages."""
        return (self.width, 2 * self.width, 4 * self.width, 8 * self.width)


@dataclass(frozen=True)
class PixelDecoderConfig:
    """Sizes of the pixel decoder: transformer layers on the coarsest map, then a feature pyramid."""

    layers: int = 6
    heads: int = 8
    feedforward: int = 2048
    norm_groups: int = 32


@dataclass(frozen=True)
class TextEncoderConfig:
    """Sizes of the CLIP-style text encoder.

    ``token_width`` may be narrower than ``width``: the token table then is projected up.
    """

    width: int = 512
    token_width: int = 512
    heads: int = 8
    layers: int = 12
    context: int = 77
    vocabulary: int = 49408


@dataclass(frozen=True)
class MaskDecoderConfig:
    """Sizes of the mask decoder: learned object queries and masked-attention layers."""

    queries: int = 101
    layers: int = 9
    heads: int = 8
    feedforward: int = 2048
    levels: int = 3


@dataclass(frozen=True)
class ModelConfig:
    """Everything that fixes the network's shape and how images are laid before it.

    Parameters
    ----------
    name
        Name of the preset, for messages and recipes.
    input_size
        Side of the square input in pixels; a multiple of 32.
    dim
        Width shared by pixel decoder, mask decoder and text space.
    cell_zoom
        Enlargement at which cells and organelles are shown to the network (1 is the image's own pixel size).
    tissue_zoom
        The same for tissue-scale objects, such as vessels; None shows them on the whole image, as organs.
    sized
        Identifiers of the objects that the network was shown in one size, images being enlarged or reduced for that;
        others it was shown at the zoom of their scale, whatever their size.
    cell_diameter
        Their diameter then, in the input's pixels.
    cell_fill
        Whether an image smaller than the input is enlarged to fill it for these objects too.
    detail
        Channels of the detail path, which doubles the masks' size; 0 for none, as published.
    absence
        How probable it must be, by the queries' similarity to the words, that a whole image does not show an object,
        for an empty mask to be the answer; below that the second most similar query answers. Half of the prompts that
        the network was trained with name what is absent; people ask for what they see: at odds of four to one, 0.8 is
        what 0.5 was in training. 0, as published: the most similar query always answers.
    cores
        Whether the network also gives the inner parts of a prompt's separate objects; the published one does not.
    meta_objects
        Whether the network was trained to tell meta-objects (liver, vessel, tumor, ...) apart.

    Raises
    ------
    SettingError
        If the sizes do not fit each other.
    """

    name: str
    input_size: int
    dim: int
    cell_zoom: float = 1.0
    sized: tuple[str, ...] = ()
    cell_diameter: float | None = None
    tissue_zoom: float | None = None
    cell_fill: bool = True
    detail: int = 0
    absence: float = 0.0
    cores: bool = False
    meta_objects: bool = False
    image_encoder: ImageEncoderConfig = field(default_factory=ImageEncoderConfig)
    pixel_decoder: PixelDecoderConfig = field(default_factory=PixelDecoderConfig)
    text_encoder: TextEncoderConfig = field(default_factory=TextEncoderConfig)
    mask_decoder: MaskDecoderConfig = field(default_factory=MaskDecoderConfig)

    def __post_init__(self) -> None:
        if self.input_size <= 0 or self.input_size % 32:
            raise SettingError(f"input_size must be a positive multiple of 32, not {self.input_size}.")
        if self.dim % 4:
            raise SettingError(f"dim must be a multiple of 4 for the sine positions, not {self.dim}.")
        if not 0 <= self.absence <= 1:
            raise SettingError(f"absence must be a probability, not {self.absence}.")
        for name in ("cell_zoom", "cell_diameter", "tissue_zoom"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise SettingError(f"{name} must be positive, not {value}.")
        if self.sized and self.cell_diameter is None:
            raise SettingError(f"cell_diameter must say in which size {self.sized[0]} is shown.")
        if self.detail < 0 or self.detail % 4:
            raise SettingError(f"detail must be 0 or a positive multiple of 4, not {self.detail}.")
        for part, width, heads in (
            ("pixel_decoder", self.dim, self.pixel_decoder.heads),
            ("mask_decoder", self.dim, self.mask_decoder.heads),
            ("text_encoder", self.text_encoder.width, self.text_encoder.heads),
        ):
            if width % heads:
                raise SettingError(f"{part}: width {width} is not a multiple of its {heads} heads.")
        if self.dim % self.pixel_decoder.norm_groups:
            raise SettingError(f"dim {self.dim} is not a multiple of norm_groups {self.pixel_decoder.norm_groups}.")
        if self.mask_decoder.levels != 3:
            raise SettingError("mask_decoder.levels must be 3: strides 32, 16 and 8.")

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as plain JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Build a configuration from :meth:`to_dict`'s result.

        Raises
        ------
        SettingError
            If a field is unknown, missing or does not fit.
        """
        parts: dict[str, type] = {
            "image_encoder": ImageEncoderConfig,
            "pixel_decoder": PixelDecoderConfig,
            "text_encoder": TextEncoderConfig,
            "mask_decoder": MaskDecoderConfig,
        }
        try:
            fields = {**values, "sized": tuple(values.get("sized", ()))}
            for key, part in parts.items():
                if key in fields:
                    entries = {k: tuple(v) if isinstance(v, list) else v for k, v in fields[key].items()}
                    fields[key] = part(**entries)
            return cls(**fields)
        except (TypeError, AttributeError) as error:
            raise SettingError(f"This is not a model configuration: {error}.") from error


PRESETS: dict[str, ModelConfig] = {
    "biomedparse-v1": ModelConfig(name="biomedparse-v1", input_size=1024, dim=512, meta_objects=True),
    "mini": ModelConfig(
        name="mini",
        input_size=256,
        dim=64,
        cell_zoom=2.0,
        sized=("nucleus",),
        cell_diameter=50.0,
        tissue_zoom=2.0,
        cell_fill=False,
        detail=16,
        absence=0.8,
        cores=True,
        image_encoder=ImageEncoderConfig(
            width=32, depths=(1, 2, 6, 2), focal_levels=3, layer_scale=0.2, drop_path=0.05
        ),
        pixel_decoder=PixelDecoderConfig(layers=2, heads=4, feedforward=256),
        text_encoder=TextEncoderConfig(width=64, token_width=32, heads=4, layers=3),
        # Trained with six layers, of which the last three changed no score by more than chance.
        mask_decoder=MaskDecoderConfig(queries=16, layers=3, heads=4, feedforward=256),
    ),
}


def preset(name: str) -> ModelConfig:
    """Return the preset called ``name``.

    Raises
    ------
    SettingError
        If there is none.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise SettingError(f"There is no model preset {name!r}; the presets are {', '.join(PRESETS)}.") from None
