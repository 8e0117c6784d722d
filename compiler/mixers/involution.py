"""Involution: a kernel per position and head, predicted from that position alone. arXiv:2103.06255."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from ..errors import Problem
from ..grid import Grid
from ..layer import Layer, On, Parts, chain
from ..mixer import HeadChannels, Mixer, Traits, divides, head_width, mixture
from ..parts import Act, BatchNorm, Conv, Pool

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class Involution(Mixer):
    """Two 1x1 convolutions with batch norm and ReLU between them give the kernels; a stride averages their input."""

    notation = "involution"
    also = ("Inv",)
    kernel: PositiveInt = Field(7, alias="k", description="side of the predicted kernel, positions")
    head_channels: HeadChannels = Field(16, alias="Ch", description="channels that share one kernel, or all")
    reduction: PositiveInt = Field(4, alias="r", description="channels over the width between the convolutions")
    stride: PositiveInt = Field(1, description="step between outputs, positions")

    def traits(self, at: Grid) -> Traits:
        width = head_width(self.head_channels, at.c)
        rank = mixture(at.c // self.reduction + 1, self.kernel**2)
        return Traits(
            "sliding", "separate", self.kernel // 2, False, width, "position", self.stride - 1, kernel_rank=rank
        )

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from divides(self, "head_channels", at.c)
        yield from divides(self, "reduction", at.c)

    def parts(self, at: Grid) -> Parts:
        hidden, heads = at.c // self.reduction, at.c // head_width(self.head_channels, at.c)
        pool = Pool("avg", self.stride, self.stride, padding=0, ceil=True, shared_input=True)
        layers: dict[str, Layer] = {"pool": pool} if self.stride > 1 else {}
        placed: dict[str, On] = chain(
            {
                **layers,
                "reduce": Conv(at.c, hidden, 1, shared_input=self.stride == 1),
                "norm": BatchNorm(hidden),
                "act": Act("relu", hidden),
                "span": Conv(hidden, heads * self.kernel**2, 1, bias=True),
            },
            at,
        )
        return placed

    def macs(self, at: Grid) -> int:
        return self.out(at).size * self.kernel**2

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"aggregation": self.macs(at)}

    def kept(self, at: Grid) -> int:
        heads = at.c // head_width(self.head_channels, at.c)
        return at.size + self.out(at).pixels * heads * self.kernel**2  # the input, and the kernels of all positions

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        from ..ops.aggregate import aggregate

        near = m.pool(x) if self.stride > 1 else x
        maps = m.span(m.act(m.norm(m.reduce(near))))
        return aggregate(x, maps, kernel=self.kernel, stride=self.stride)
