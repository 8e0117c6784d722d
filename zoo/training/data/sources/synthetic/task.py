"""What every procedural set is: named classes, and images that follow from seed, split and index."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt
from torch import Tensor

from ....chance import uniform

PLACE, NOISE = 0, 1
"""Streams of random numbers: what an image shows, and the noise on it."""


class Task(BaseModel, ABC):
    """Grey images of ``size`` x ``size`` pixels between 0 and 1; the classes take turns by index."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    draws: ClassVar[int]
    """Random numbers that say what one image shows."""

    size: int = Field(32, ge=8, le=4096, description="side of the images, pixels")
    train: PositiveInt = Field(2000, description="images to train on")
    val: PositiveInt = Field(500, description="images to choose by")
    test: PositiveInt = Field(500, description="images to test on")
    seed: NonNegativeInt = Field(0, description="another number gives other images of the same kind")
    noise: float = Field(0.05, ge=0, le=1, description="spread of the normal noise on every pixel")

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The classes."""

    @abstractmethod
    def paint(self, labels: Tensor, chance: Tensor) -> Tensor:
        """Images (N, H, W) of the classes (N,), as numbers (N, draws) between 0 and 1 decide; noise comes later."""

    def labels(self, indices: Tensor) -> Tensor:
        """The classes of the images of these numbers, (N,)."""
        return indices % len(self.names)

    def images(self, split: int, indices: Sequence[int]) -> Tensor:
        """Images (N, 1, size, size) of a split by number, between 0 and 1, with 256 shades as in a file."""
        places = [(split, index) for index in indices]
        chance = uniform(self.seed, [(PLACE, *place) for place in places], self.draws)
        clean = self.paint(self.labels(torch.tensor(indices, dtype=torch.long)), chance)
        noisy = clean + self.noise * normal(self.seed, [(NOISE, *place) for place in places], self.size)
        return (noisy.clamp(0, 1) * 255).round()[:, None] / 255


def normal(seed: int, places: Sequence[tuple[int, ...]], size: int) -> Tensor:
    """White noise (N, size, size) of mean 0 and spread 1, by Box and Muller's transform."""
    count = size * size
    drawn = uniform(seed, places, 2 * count)
    radius = (-2 * (1 - drawn[:, :count]).log()).sqrt()
    return (radius * (2 * torch.pi * drawn[:, count:]).cos()).view(-1, size, size)


def grid(size: int) -> tuple[Tensor, Tensor]:
    """The pixels' centres: (size, 1) downwards and (1, size) to the right, from 0.5."""
    line = torch.arange(size, dtype=torch.float32) + 0.5
    return line[:, None], line[None, :]


def bars(size: int, centres: Tensor, angles: Tensor, length: float, width: float) -> Tensor:
    """One bar with soft edges in each image (N, size, size): 1 inside, 0 outside.

    ``centres`` (N, 2) are down and right in pixels, ``angles`` (N,) in radians, 0 for a level bar.
    """
    down, right = grid(size)
    y, x = down - centres[:, 0, None, None], right - centres[:, 1, None, None]
    cos, sin = angles.cos()[:, None, None], angles.sin()[:, None, None]
    along, across = x * cos + y * sin, y * cos - x * sin
    return (0.5 + length / 2 - along.abs()).clamp(0, 1) * (0.5 + width / 2 - across.abs()).clamp(0, 1)


def within(chance: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Numbers from 0 to 1 as numbers from ``low`` to ``high``."""
    return low + chance * (high - low)
