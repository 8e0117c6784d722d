"""ConvFormer's mixer: the inverted separable convolution of MobileNetV2. arXiv:2210.13452, section 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from ..grid import Grid
from ..layer import Parts
from ..mixer import Mixer, Traits
from ..operator import OddInt
from ..parts import Act, Conv, Linear

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class SepConv(Mixer):
    """Linear map to twice the width, StarReLU, depth-wise convolution, linear map back. No biases."""

    notation = "SepConv"
    kernel: OddInt = Field(7, alias="k", description="side of the depth-wise kernel, positions")
    ratio: PositiveInt = Field(2, alias="r", description="inner width over channels")

    def traits(self, at: Grid) -> Traits:
        return Traits("sliding", "separate", reach=self.kernel // 2)

    def parts(self, at: Grid) -> Parts:
        inner = self.ratio * at.c
        return {
            "expand": Linear(at.c, inner),
            "act": Act("star_relu", inner),
            "spatial": Conv(inner, inner, self.kernel, groups=inner),
            "project": Linear(inner, at.c),
        }

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.project(m.spatial(m.act(m.expand(x))))
