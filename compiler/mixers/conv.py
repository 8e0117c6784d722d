"""The plain convolution. ResNet's spatial filter, arXiv:1512.03385."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from .. import parts
from ..grid import Grid
from ..layer import Layer, Parts
from ..mixer import Mixer, Traits
from ..operator import OddInt

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class Conv(Mixer):
    """A dense convolution with zero padding."""

    notation = "Conv"
    also = ("Conv2d", "convolution")
    kernel: OddInt = Field(3, alias="k", description="side of the kernel, positions")
    stride: PositiveInt = Field(1, description="step between outputs, positions")
    bias: bool = Field(False, description="add a learnt number to every output channel")

    def traits(self, at: Grid) -> Traits:
        return Traits("sliding", "dense", reach=self.kernel // 2)

    def parts(self, at: Grid) -> Parts:
        return {"conv": self.widened(at.c, at.c)}

    def widened(self, cin: int, cout: int) -> Layer:
        return parts.Conv(cin, cout, self.kernel, self.stride, bias=self.bias)

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.conv(x)
