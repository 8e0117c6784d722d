"""Kernels mixed from a bank by coefficients: what CADA, CADAsp, DA and DAsp have in common. arXiv:2210.17141."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, PositiveInt

from ..errors import Problem
from ..grid import Grid
from ..layer import Parts
from ..mixer import HeadChannels, Mixer, Traits, divides, fits, for_map, head_width, mixture
from ..operator import OddInt
from ._accumulation import Accumulation, Net, accumulate, stored

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..bound import Bound


class Mixture(Mixer):
    """At every position each head mixes its base kernels by coefficients; abstract.

    The fields stand in the two kinds below, since notation lists them in another order there.
    """

    shared: ClassVar[bool]
    """Whether all heads mix by the same coefficients."""
    if TYPE_CHECKING:
        base_kernels: PositiveInt
        context_kernel: PositiveInt
        kernel: PositiveInt
        head_channels: HeadChannels
        net: Net
        position: bool
        stride: PositiveInt

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from divides(self, "head_channels", at.c)

    def parts(self, at: Grid) -> Parts:
        heads = at.c // head_width(self.head_channels, at.c)
        return Accumulation(
            self.net,
            heads,
            self.base_kernels,
            self.kernel,
            shared=self.shared,
            context=self.context_kernel,
            stride=self.stride,
            position=self.position,
        ).parts(at)

    def rank(self) -> int | None:
        """The dimension of the space in which all kernels of a head lie, None where nothing bounds it."""
        return mixture(self.base_kernels + self.position, self.kernel**2)

    def macs(self, at: Grid) -> int:
        return self.out(at).size * self.kernel**2

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"aggregation": self.macs(at)}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return accumulate(m, x, self.net, kernel=self.kernel, stride=self.stride)


class Predicted(Mixture):
    """A mixture by coefficients predicted from the context of each position; abstract."""

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
        width, context = head_width(self.head_channels, at.c), self.context_kernel // 2
        return Traits(
            "sliding", "separate", self.kernel // 2, False, width, "position", context, kernel_rank=self.rank()
        )


class Learnt(Mixture):
    """A mixture by coefficients learnt for each position, so that the size of the map is fixed; abstract."""

    base_kernels: PositiveInt = Field(4, alias="b", description="base kernels of each head")
    kernel: PositiveInt = Field(7, alias="agg", description="side of the mixed kernel, positions")
    head_channels: HeadChannels = Field(8, alias="Ch", description="channels that share one kernel, or all")
    net: Literal["D", "E", "F"] = Field("D", description="accumulation network of Fig. 6")
    context_kernel: OddInt = Field(3, alias="ca", description="side of the kernel in network F, positions")
    position: bool = Field(True, alias="pos", description="add a kernel that is the same everywhere")
    stride: PositiveInt = Field(1, description="step between outputs, positions")
    height: PositiveInt | None = Field(None, description="rows of the output; those of the stage if left out")
    width: PositiveInt | None = Field(None, description="columns of the output; those of the stage if left out")

    def settle(self, stage: int, at: Grid) -> Self:
        return for_map(self, at)

    def traits(self, at: Grid) -> Traits:
        width = head_width(self.head_channels, at.c)
        return Traits("sliding", "separate", self.kernel // 2, False, width, any_size=False, kernel_rank=self.rank())

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from Mixture.check(self, at)
        yield from fits(self, at)

    def kept(self, at: Grid) -> int:
        return at.size

    def freeze(self, m: Bound) -> nn.Module:
        return stored(m, self.net, kernel=self.kernel, stride=self.stride)
