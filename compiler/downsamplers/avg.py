"""Averages over a square window. As in ResNet-D, arXiv:1812.01187, and arXiv:2210.17141, appendix A.3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveInt

from ..grid import Grid
from ..layer import Parts
from ..mixer import Mixer, Traits
from ..parts import Pool

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class Average(Mixer):
    """The mean of every window; an odd window counts zeros beyond the border, an even one only what is there."""

    notation = "avg"
    kernel: PositiveInt = Field(
        3, alias="k", description="side of the window, positions; an even one reaches down and right"
    )
    stride: Literal[2] = Field(2, description="step between outputs, positions")

    def traits(self, at: Grid) -> Traits:
        return Traits("sliding", "separate", reach=self.kernel // 2, channels_per_weight=at.c)

    def parts(self, at: Grid) -> Parts:
        odd = self.kernel % 2 == 1
        pool = Pool("avg", self.kernel, self.stride, padding=(self.kernel - 1) // 2, ceil=not odd, zeros=odd)
        return {"pool": pool}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.pool(x)
