"""Shapes: the global form of a figure at a random place. Every figure is of equally many equal dots.

Dots are as far from their neighbours in one figure as in another; only how they all stand tells the classes apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from ......compiler.complaints import WRONG_VALUE, wrong
from .task import Task, grid, within

DOTS = 12
WIDEST = 1.21
"""Radius of the widest figure, the triangle, where all outlines are as long as that of a circle of radius 1."""


def _outline(corners: Sequence[tuple[float, float]]) -> Tensor:
    """Twelve points at even distances along a closed line through corners, (12, 2), the line brought to length 2π."""
    ends = torch.tensor([*corners, corners[0]])
    lengths = (ends[1:] - ends[:-1]).norm(dim=1)
    starts = torch.cat((torch.zeros(1), lengths.cumsum(0)))
    points = []
    for step in torch.arange(DOTS) * (starts[-1] / DOTS):
        side = min(int((starts <= step + 1e-4).sum()) - 1, len(corners) - 1)
        points.append(ends[side] + (ends[side + 1] - ends[side]) * (step - starts[side]) / lengths[side])
    return torch.stack(points) * (2 * math.pi / starts[-1])


def _polygon(count: int) -> list[tuple[float, float]]:
    angles = [2 * math.pi * index / count for index in range(count)]
    return [(math.sin(angle), math.cos(angle)) for angle in angles]


PLUS = ((1, 3), (1, 1), (3, 1), (3, -1), (1, -1), (1, -3), (-1, -3), (-1, -1), (-3, -1), (-3, 1), (-1, 1), (-1, 3))
OBLONG = ((1, 2), (1, -2), (-1, -2), (-1, 2))


def figures() -> dict[str, Tensor]:
    """Points (12, 2) of each figure, down and right, neighbours equally far apart, within a circle of radius 1."""
    outlines = {
        "circle": _polygon(120),
        "square": _polygon(4),
        "triangle": _polygon(3),
        "plus": [(float(down), float(right)) for down, right in PLUS],
        "oblong": [(float(down), float(right)) for down, right in OBLONG],
    }
    return {name: _outline(corners) / WIDEST for name, corners in outlines.items()}


class Shapes(Task):
    """Figures of dots, turned by chance."""

    draws: ClassVar[int] = 4
    radius: float = Field(0.35, gt=0, le=0.45, description="of the largest figure, share of the side")
    smallest: float = Field(0.7, gt=0, le=1, description="the smallest figure's radius, share of the largest's")
    turn: float = Field(180.0, ge=0, le=180, description="figures are turned by up to this angle, degrees")
    dot: float = Field(1.0, gt=0, le=8, description="spread of a dot, pixels")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(figures())

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.radius * self.smallest * self.size < 4:
            raise wrong(WRONG_VALUE, f"figures of {self.radius * self.smallest * self.size:.1f} pixels", "4 or more")
        return self

    def paint(self, labels: Tensor, chance: Tensor) -> Tensor:
        points = torch.stack(list(figures().values()))[labels]
        radius = within(chance[:, 0], self.radius * self.smallest, self.radius) * self.size
        angle = within(chance[:, 1], -self.turn, self.turn) * (math.pi / 180)
        turns = torch.stack((angle.cos(), -angle.sin(), angle.sin(), angle.cos()), 1).view(-1, 2, 2)
        margin = radius + 2 * self.dot
        centre = torch.stack([within(chance[:, axis], margin, self.size - margin) for axis in (2, 3)], 1)
        places = (points @ turns) * radius[:, None, None] + centre[:, None]
        return torch.stack([self._dots(each) for each in places])

    def _dots(self, places: Tensor) -> Tensor:
        """One image (size, size) of dots at (12, 2)."""
        line = grid(self.size)[1]
        down, right = (torch.exp(-(((line - places[:, axis, None]) / self.dot) ** 2) / 2) for axis in (0, 1))
        return (down.T @ right).clamp(max=1)
