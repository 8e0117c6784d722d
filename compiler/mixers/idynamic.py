"""Inhomogeneous dynamic convolution: a kernel per position and group, predicted from that position. "Demystifying Local
Vision Transformer", arXiv:2106.04263, appendix F and Table 11; close to involution, arXiv:2103.06255.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from ..errors import Problem
from ..grid import Grid
from ..layer import Parts
from ..mixer import Mixer, Traits, divides, mixture
from ..parts import Act, BatchNorm, Conv

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class InhomogeneousDynamic(Mixer):
    """Two 1x1 maps with biases, BatchNorm and ReLU between them, give the kernels of all groups at every position."""

    notation = "IDynamic"
    also = ("I-D-DW", "I-D-DWConv")
    kernel: PositiveInt = Field(7, alias="k", description="side of the predicted kernels, positions")
    groups: PositiveInt = Field(32, alias="G", description="groups of channels; each shares its kernels")
    reduction: PositiveInt = Field(4, alias="r", description="channels over the width between the two maps")

    def traits(self, at: Grid) -> Traits:
        rank = mixture(at.c // self.reduction + 1, self.kernel**2)
        return Traits("sliding", "separate", self.kernel // 2, False, at.c // self.groups, "position", kernel_rank=rank)

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from divides(self, "groups", at.c)
        yield from divides(self, "reduction", at.c)

    def parts(self, at: Grid) -> Parts:
        hidden = at.c // self.reduction
        return {
            "reduce": Conv(at.c, hidden, 1, bias=True, shared_input=True),
            "norm": BatchNorm(hidden),
            "act": Act("relu", hidden),
            "span": Conv(hidden, self.groups * self.kernel**2, 1, bias=True),
        }

    def macs(self, at: Grid) -> int:
        return at.size * self.kernel**2

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"aggregation": at.size * self.kernel**2}

    def kept(self, at: Grid) -> int:
        return at.size + at.pixels * self.groups * self.kernel**2

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        from ..ops.aggregate import aggregate

        return aggregate(x, m.span(m.act(m.norm(m.reduce(x)))), kernel=self.kernel)
