"""The blur of binomial coefficients, a discrete Gaussian. As in arXiv:1904.11486 and arXiv:2210.17141, appendix A.3."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ..grid import Grid
from ..init import Table
from ..layer import Parts
from ..mixer import Mixer, Traits
from ..operator import OddInt
from ..parts import Buffer

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..bound import Bound


class Binomial(Mixer):
    """A fixed k x k kernel, (1, 2, 1) / 4 along each axis for k=3; beyond the border lie zeros."""

    notation = "binomial"
    kernel: OddInt = Field(3, alias="k", description="side of the kernel, positions")
    stride: Literal[2] = Field(2, description="step between outputs, positions")

    def traits(self, at: Grid) -> Traits:
        return Traits("sliding", "separate", reach=self.kernel // 2, channels_per_weight=at.c)

    def parts(self, at: Grid) -> Parts:
        return {"kernel": Buffer((1, 1, self.kernel, self.kernel), Table(binomial_kernel))}

    def macs(self, at: Grid) -> int:
        return self.out(at).size * self.kernel**2

    def kept(self, at: Grid) -> int:
        return at.size

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        from torch.nn.functional import conv2d

        c = x.shape[1]
        return conv2d(x, m.kernel.expand(c, -1, -1, -1), None, self.stride, self.kernel // 2, groups=c)

    def freeze(self, m: Bound) -> nn.Module:
        from ..modules import convolution

        c = m.at.c
        return convolution(m.kernel.expand(c, -1, -1, -1), stride=self.stride, padding=self.kernel // 2, groups=c)


def binomial_kernel(batch: int, channels: int, height: int, width: int) -> Tensor:
    """Products of binomial coefficients that sum to one, (1, 1, height, width)."""
    import torch

    rows = torch.tensor([math.comb(height - 1, i) for i in range(height)], dtype=torch.float64)
    columns = torch.tensor([math.comb(width - 1, i) for i in range(width)], dtype=torch.float64)
    kernel = torch.outer(rows, columns) / 2 ** (height + width - 2)
    return kernel.expand(batch, channels, height, width)
