"""Pairs: two marks far apart, level or upright each; the class is whether they are alike.

One mark alone says nothing of the class: what sees less than ``distance`` pixels cannot do better than chance.
"""

from __future__ import annotations

import math
from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from ......compiler.complaints import WRONG_VALUE, wrong
from .task import Task, bars, within

LENGTH, WIDTH = 5.0, 1.5
"""Of a mark, pixels."""


class Pairs(Task):
    """Two marks at a fixed distance, in any direction."""

    draws: ClassVar[int] = 4
    distance: float | None = Field(None, gt=0, description="between the marks, pixels; half the side if left out")

    @property
    def names(self) -> tuple[str, ...]:
        return ("alike", "unlike")

    @property
    def apart(self) -> float:
        """Between the centres of the marks, pixels."""
        return self.size / 2 if self.distance is None else self.distance

    @model_validator(mode="after")
    def _fits(self) -> Self:
        least, most = LENGTH + 1, self.size - LENGTH - 1
        if not least <= self.apart <= most:
            right = f"{least:g} to {most:g} at size={self.size}" if least <= most else f"size={2 * least:g} or more"
            raise wrong(WRONG_VALUE, f"marks {self.apart:g} pixels apart", right)
        return self

    def paint(self, labels: Tensor, chance: Tensor) -> Tensor:
        angle = 2 * math.pi * chance[:, 0]
        step = torch.stack((angle.sin(), angle.cos()), 1) * self.apart
        margin = LENGTH / 2 + 0.5
        low = margin + (-step).clamp(min=0)
        high = self.size - margin - step.clamp(min=0)
        first = within(chance[:, 1:3], low, high)
        upright = (chance[:, 3] < 0.5).float()
        other = (upright - labels).abs()  # label 1: the other direction
        marks = zip((first, first + step), (upright, other), strict=True)
        return sum((self._mark(*mark) for mark in marks), torch.zeros(())).clamp(max=1)

    def _mark(self, centres: Tensor, upright: Tensor) -> Tensor:
        return bars(self.size, centres, upright * (math.pi / 2), LENGTH, WIDTH)
