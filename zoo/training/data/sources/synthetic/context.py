"""Context: what a mark means depends on its surroundings. The class is the mark's direction against that of stripes.

Neither the mark nor the stripes alone say anything of the class; a ring of ``gap`` pixels without stripes parts them.
"""

from __future__ import annotations

import math
from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from ......compiler.complaints import WRONG_VALUE, wrong
from .task import Task, bars, grid, within

LENGTH, WIDTH = 5.0, 1.5
"""Of the mark, pixels."""
DARK, BRIGHT = 0.1, 0.4
"""Shades of the stripes, on a ground of their mean; the mark is white."""


class Context(Task):
    """One mark on a ground of stripes."""

    draws: ClassVar[int] = 4
    classes: int = Field(2, ge=2, le=6, description="angles between mark and stripes, evenly apart")
    gap: float = Field(2.0, ge=0, description="pixels between the mark's ends and the nearest stripes")
    period: float = Field(6.0, ge=3, description="of the stripes, pixels")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{180 * index / self.classes:g}°" for index in range(self.classes))

    @model_validator(mode="after")
    def _fits(self) -> Self:
        most = self.size / 2 - LENGTH / 2 - 2
        if self.gap > most:
            raise wrong(WRONG_VALUE, f"a gap of {self.gap:g} pixels", f"at most {most:g} at size={self.size}")
        return self

    def paint(self, labels: Tensor, chance: Tensor) -> Tensor:
        turn = math.pi / self.classes
        ground = (chance[:, 0] * self.classes).floor().clamp(max=self.classes - 1)
        margin = LENGTH / 2 + 0.5
        centre = within(chance[:, 1:3], margin, self.size - margin)
        striped = self._stripes(ground * turn, chance[:, 3], centre)
        mark = bars(self.size, centre, (ground + labels) * turn, LENGTH, WIDTH)
        return striped * (1 - mark) + mark

    def _stripes(self, angles: Tensor, phases: Tensor, centre: Tensor) -> Tensor:
        """Stripes (N, size, size) along ``angles``, with an even disc around each centre."""
        down, right = grid(self.size)
        across = down * angles.cos()[:, None, None] - right * angles.sin()[:, None, None]
        wave = torch.sin(2 * math.pi * (across / self.period + phases[:, None, None]))
        y, x = down - centre[:, 0, None, None], right - centre[:, 1, None, None]
        outside = ((y**2 + x**2).sqrt() - self.gap - LENGTH / 2 + 0.5).clamp(0, 1)
        return (BRIGHT + DARK) / 2 + (BRIGHT - DARK) / 2 * wave * outside
