"""Locally connected depth-wise layer: a kernel per position, none shared. arXiv:2210.17141, section 5.1.2."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Self

from pydantic import Field, PositiveInt

from ..errors import Problem
from ..grid import Grid
from ..init import Normal
from ..layer import Parts
from ..mixer import HeadChannels, Mixer, Traits, divides, fits, for_map, head_width
from ..parts import Weight

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class Local(Mixer):
    """Every channel, or head, has a learnt kernel at every position of the map."""

    notation = "local"
    also = ("locally-connected",)
    kernel: PositiveInt = Field(7, alias="k", description="side of the kernels, positions")
    head_channels: HeadChannels = Field(1, alias="Ch", description="channels that share one kernel, or all")
    stride: PositiveInt = Field(1, description="step between outputs, positions")
    height: PositiveInt | None = Field(None, description="rows of the output; those of the stage if left out")
    width: PositiveInt | None = Field(None, description="columns of the output; those of the stage if left out")

    def settle(self, stage: int, at: Grid) -> Self:
        return for_map(self, at)

    def traits(self, at: Grid) -> Traits:
        width = head_width(self.head_channels, at.c)
        return Traits("sliding", "separate", self.kernel // 2, False, width, any_size=False)

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from divides(self, "head_channels", at.c)
        yield from fits(self, at)

    def parts(self, at: Grid) -> Parts:
        heads, out = at.c // head_width(self.head_channels, at.c), self.out(at)
        start = Normal(math.sqrt(2) / self.kernel)  # keeps the variance through a ReLU
        return {"weight": Weight((heads * self.kernel**2, out.h, out.w), init=start)}

    def macs(self, at: Grid) -> int:
        return self.out(at).size * self.kernel**2

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"aggregation": self.macs(at)}

    def kept(self, at: Grid) -> int:
        return at.size

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        from ..ops.aggregate import aggregate

        return aggregate(x, m.weight.unsqueeze(0), kernel=self.kernel, stride=self.stride)
