"""Depth-wise convolution, one kernel for each channel or head. As in arXiv:2210.17141 and arXiv:2106.04263."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from ..errors import Problem
from ..grid import Grid
from ..layer import Parts
from ..mixer import HeadChannels, Mixer, Traits, divides, head_width
from ..parts import Conv, Weight

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..bound import Bound


class DW(Mixer):
    """A kernel that slides over each channel by itself; the neighbouring channels of a head share one."""

    notation = "DW"
    also = ("DWConv", "depthwise", "depth-wise")
    kernel: PositiveInt = Field(
        7, alias="k", description="side of the kernel, positions; an even one reaches up and left"
    )
    head_channels: HeadChannels = Field(1, alias="Ch", description="channels that share one kernel, or all")
    bias: bool = Field(False, description="learn a bias for every channel")
    stride: PositiveInt = Field(1, description="step between outputs, positions")

    def traits(self, at: Grid) -> Traits:
        width = head_width(self.head_channels, at.c)
        return Traits("sliding", "separate", reach=self.kernel // 2, channels_per_weight=width)

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from divides(self, "head_channels", at.c)

    def parts(self, at: Grid) -> Parts:
        if self.head_channels != 1:
            heads = at.c // head_width(self.head_channels, at.c)
            weight = Weight((heads, 1, self.kernel, self.kernel), init=None)
            return {"weight": weight, **({"bias": Weight((at.c,), decay=False)} if self.bias else {})}
        padded = Grid(at.h + self.kernel - 1, at.w + self.kernel - 1, at.c)
        conv = Conv(at.c, at.c, self.kernel, self.stride, padding=self._padding, groups=at.c, bias=self.bias)
        return {"conv": conv.on(padded if self._padding == 0 else at)}

    @property
    def _padding(self) -> int:
        """On each side; an even kernel needs one less below and right, which is done by hand."""
        return self.kernel // 2 if self.kernel % 2 else 0

    def macs(self, at: Grid) -> int:
        return 0 if self.head_channels == 1 else self.out(at).size * self.kernel**2

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"add": self.out(at).size * (self.bias and self.head_channels != 1)}

    def kept(self, at: Grid) -> int:
        return 0 if self.head_channels == 1 else at.size

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        from torch.nn.functional import conv2d, pad

        if self.kernel % 2 == 0:
            low, high = self.kernel // 2, self.kernel // 2 - 1
            x = pad(x, (low, high, low, high))
        if self.head_channels == 1:
            return m.conv(x)
        c = x.shape[1]
        weight = m.weight.repeat_interleave(c // m.weight.shape[0], 0)
        return conv2d(x, weight, m.bias if self.bias else None, self.stride, self._padding, groups=c)

    def freeze(self, m: Bound) -> nn.Module:
        from torch.nn import Sequential, ZeroPad2d

        from ..modules import convolution

        if self.head_channels == 1:
            return m
        c, bias = m.at.c, m.bias if self.bias else None
        weight = m.weight.repeat_interleave(c // m.weight.shape[0], 0)
        conv = convolution(weight, bias, stride=self.stride, padding=self._padding, groups=c)
        low, high = self.kernel // 2, self.kernel // 2 - 1
        return conv if self.kernel % 2 else Sequential(ZeroPad2d((low, high, low, high)), conv)
