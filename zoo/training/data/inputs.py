"""How images become a network's input: size, crop, channels, mean and spread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ....compiler.errors import SpecError
from ....compiler.resolve import Network, sides

UNFIT = "MX812"
LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey, as PIL has them. ITU-R BT.601."""

CropMode = Literal["center", "squash", "border"]
_TOLD = {"crop_pct": "crop", "crop_mode": "mode", "interpolation": "interpolation"}
"""What a recipe says of images to be judged, and the field it is here."""

Shade = float | tuple[float, ...]
"""One value for all channels, or one for each."""


@dataclass(frozen=True)
class Inputs:
    """How images become a network's input (B, C, H, W).

    ``crop`` is the share of the enlarged image's side that stays, in the centre; ``mode`` is timm's way to a square:
    the shorter side (center), both sides (squash) or the longer side (border) is enlarged. ``mean`` and ``std`` are of
    pixels between 0 and 1.
    """

    size: tuple[int, int]
    channels: int
    mean: Shade
    std: Shade
    crop: float = 1.0
    mode: CropMode = "center"
    interpolation: str = "bilinear"

    @classmethod
    def of(cls, network: Network, facts: Mapping[str, Any], recipe: Mapping[str, Any] | None = None) -> Inputs:
        """For a network, what is known of its data, and the recipe's own crop and interpolation.

        Raises SpecError for a network that reads other than 1 or 3 channels.
        """
        channels = network.family.in_chans
        if channels not in (1, 3):
            raise SpecError.of(UNFIT, f"{network.name} reads {channels} channels", "images have 1 or 3: in_chans: 1")
        mean, std = (_shade(facts[key], channels) for key in ("mean", "std"))
        told = {key: value for key, value in (recipe or {}).items() if key in _TOLD}
        way = {_TOLD[key]: value for key, value in told.items()}
        return cls(sides(network.about.image), channels, mean, std, **way)

    @property
    def pixels(self) -> str:
        """PIL's name for the pixels the network reads."""
        return "L" if self.channels == 1 else "RGB"

    def resize(self, images: Tensor) -> Tensor:
        """Images (B, C, h, w) to the size over ``crop``, rounded down, cut to the centre, as timm does.

        Bilinear; smaller images are enlarged, larger ones are low-pass filtered.
        """
        height, width = self.size
        larger = int(height / self.crop), int(width / self.crop)
        if images.shape[-2:] != larger:
            images = F.interpolate(images, larger, mode="bilinear", align_corners=False, antialias=True)
        top, left = (larger[0] - height) // 2, (larger[1] - width) // 2
        return images[..., top : top + height, left : left + width]

    def normalise(self, images: Tensor) -> Tensor:
        """Zero mean and unit spread; grey is repeated over the channels, colour becomes grey for a network of one."""
        given = images.shape[1]
        if (given, self.channels) == (3, 1):
            images = (images * torch.tensor(LUMA).to(images).view(1, 3, 1, 1)).sum(1, keepdim=True)
        mean, std = (torch.tensor(shade).to(images).view(1, -1, 1, 1) for shade in (self.mean, self.std))
        return ((images - mean) / std).expand(-1, self.channels, -1, -1)

    def __call__(self, images: Tensor) -> Tensor:
        """Images (B, C, h, w) between 0 and 1 as the network's input."""
        return self.normalise(self.resize(images))

    def picture(self, image: Image.Image) -> Tensor:
        """One decoded picture of any size as the network's input (C, H, W), as timm prepares it for evaluation."""
        return prepared(self)(image.convert(self.pixels))


@cache
def prepared(inputs: Inputs) -> Callable[[Image.Image], Tensor]:
    """timm's transform for evaluation: the shorter side to the size over ``crop``, the centre, normalised."""
    from timm.data import create_transform  # type: ignore[attr-defined]

    return create_transform(
        (inputs.channels, *inputs.size),
        crop_pct=inputs.crop,
        crop_mode=inputs.mode,
        interpolation=inputs.interpolation,
        mean=by_channel(inputs.mean, inputs.channels),
        std=by_channel(inputs.std, inputs.channels),
    )


def by_channel(shade: Shade, channels: int) -> tuple[float, ...]:
    """One value for each channel."""
    return shade if isinstance(shade, tuple) else (shade,) * channels


def _shade(value: Any, channels: int) -> Shade:
    """A number, or a list of three; of these a network that reads grey has the luma."""
    if isinstance(value, int | float):
        return float(value)
    values = tuple(float(one) for one in value)
    if channels == 1 and len(values) == 3:
        return round(sum(share * one for share, one in zip(LUMA, values, strict=True)), 6)
    return values
