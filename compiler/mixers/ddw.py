"""Dynamic depth-wise convolution: one kernel per channel, predicted from the whole image. "Demystifying Local Vision
Transformer", arXiv:2106.04263, section 3.1 and appendix D.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from ..errors import Problem
from ..grid import Grid
from ..layer import Parts
from ..mixer import Mixer, Traits, divides
from ..parts import Act, BatchNorm, Conv, Weight

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class DynamicDepthwise(Mixer):
    """The image's mean passes two 1x1 maps with BatchNorm and ReLU between them and becomes the kernels.

    No function bends the kernels and no static kernel is added; the output has a learnt bias per channel. In training
    the BatchNorm needs more than one image.
    """

    notation = "DDW"
    also = ("D-DW", "D-DWConv")
    kernel: PositiveInt = Field(7, alias="k", description="side of the predicted kernel, positions")
    reduction: PositiveInt = Field(4, alias="r", description="channels over the width between the two maps")

    def traits(self, at: Grid) -> Traits:
        return Traits("sliding", "separate", self.kernel // 2, dynamic="image", context=None)

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from divides(self, "reduction", at.c)

    def parts(self, at: Grid) -> Parts:
        hidden, image = at.c // self.reduction, Grid(1, 1, at.c)
        return {
            "reduce": Conv(at.c, hidden, 1).on(image),
            "norm": BatchNorm(hidden).on(image.to(hidden)),
            "act": Act("relu", hidden).on(image.to(hidden)),
            "span": Conv(hidden, at.c * self.kernel**2, 1, bias=True).on(image.to(hidden)),
            "bias": Weight((at.c,), decay=False),
        }

    def macs(self, at: Grid) -> int:
        return at.size * self.kernel**2

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"add": at.size}

    def kept(self, at: Grid) -> int:
        return at.size + at.c * self.kernel**2

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        from ..ops.aggregate import aggregate

        kernels = m.span(m.act(m.norm(m.reduce(x.mean((2, 3), keepdim=True)))))
        return aggregate(x, kernels, kernel=self.kernel) + m.bias[:, None, None]
