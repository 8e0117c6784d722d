"""Textures: local statistics alone. Noise is smeared along a direction, which is the class; nothing has a place.

Mean and spread are the same in every image, so that a filter as wide as ``reach`` is needed, and no wider one.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from .task import Task, bars, normal

MEAN, SPREAD = 0.5, 0.2


class Textures(Task):
    """Directions of smeared noise."""

    draws: ClassVar[int] = 2
    noise: float = Field(0.0, ge=0, le=1, description="spread of the normal noise on every pixel")
    classes: int = Field(4, ge=2, le=16, description="directions, evenly apart")
    reach: int = Field(5, ge=3, le=31, description="length of the smear, pixels")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{180 * index / self.classes:g}°" for index in range(self.classes))

    def paint(self, labels: Tensor, chance: Tensor) -> Tensor:
        side = self.size + self.reach - 1
        white = normal(0, [(int(a * 2**24), int(b * 2**24)) for a, b in chance.tolist()], side)
        kernels = self.kernels()[labels]
        smeared = F.conv2d(white[None], kernels[:, None], groups=len(labels))[0]
        smeared = smeared - smeared.mean((1, 2), keepdim=True)
        return MEAN + SPREAD * smeared / smeared.std((1, 2), keepdim=True)

    def kernels(self) -> Tensor:
        """A line of one pixel's width for each class, (classes, reach, reach)."""
        odd = self.reach
        centre = torch.full((self.classes, 2), odd / 2)
        angles = torch.arange(self.classes) * (math.pi / self.classes)
        return bars(odd, centre, angles, odd - 1, 1)
