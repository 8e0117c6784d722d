"""Context-aware decomposed attention: kernels mixed from a bank, by coefficients of each head. arXiv:2210.17141."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveInt

from ..accumulation import Accumulation, accumulate
from ..errors import Problem
from ..grid import Grid
from ..layer import Parts
from ..mixer import HeadChannels, Mixer, Traits, divides, head_width, mixture
from ..operator import OddInt

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class CADA(Mixer):
    """At every position each head mixes its base kernels by coefficients predicted from its own channels around it."""

    notation = "CADA"
    base_kernels: PositiveInt = Field(8, alias="b", description="base kernels of each head")
    context_kernel: OddInt = Field(
        3, alias="ca", description="side of the context the coefficients are read from, positions"
    )
    kernel: PositiveInt = Field(7, alias="agg", description="side of the mixed kernel, positions")
    head_channels: HeadChannels = Field(16, alias="Ch", description="channels that share one kernel, or all")
    net: Literal["A", "B", "C"] = Field("A", description="accumulation network of Fig. 4")
    position: bool = Field(
        True, alias="pos", description="add a kernel that is the same everywhere (position encoding)"
    )
    stride: PositiveInt = Field(1, description="step between outputs, positions")

    def traits(self, at: Grid) -> Traits:
        width = head_width(self.head_channels, at.c)
        context, rank = self.context_kernel // 2, mixture(self.base_kernels + self.position, self.kernel**2)
        return Traits("sliding", "separate", self.kernel // 2, False, width, "position", context, kernel_rank=rank)

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from divides(self, "head_channels", at.c)

    def parts(self, at: Grid) -> Parts:
        heads = at.c // head_width(self.head_channels, at.c)
        return Accumulation(
            self.net,
            heads,
            self.base_kernels,
            self.kernel,
            shared=False,
            context=self.context_kernel,
            stride=self.stride,
            position=self.position,
        ).parts(at)

    def macs(self, at: Grid) -> int:
        return self.out(at).size * self.kernel**2

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"aggregation": self.macs(at)}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return accumulate(m, x, self.net, kernel=self.kernel, stride=self.stride)
