"""A learnt scale and shift per channel, and no statistics. ResMLP, arXiv:2105.03404, section 2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..grid import Grid
from ..init import ZEROS
from ..layer import Layer, Parts
from ..norm import Norm
from ..parts import Weight, scale

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class Affine(Norm):
    """scale * x + shift: what is left of a norm without its statistics."""

    notation = "Affine"

    def over(self, c: int) -> Layer:
        return ScaleAndShift(c)


@dataclass(frozen=True, slots=True)
class ScaleAndShift(Layer):
    """scale * x + shift on (B, C, H, W) maps and (B, C) vectors."""

    c: int

    def out(self, at: Grid) -> Grid:
        return at.to(self.c)

    def parts(self, at: Grid) -> Parts:
        return {"scale": scale(self.c), "shift": Weight((self.c,), ZEROS, decay=False)}

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"mul": at.size, "add": at.size}

    def kept(self, at: Grid) -> int:
        return at.size

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        shape = (-1, *(1,) * (x.dim() - 2))
        return x * m.scale.view(shape) + m.shift.view(shape)
