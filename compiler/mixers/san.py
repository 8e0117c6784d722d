"""Patchwise self-attention: kernels predicted from a position and the keys around it. SAN, arXiv:2004.13621."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from ..errors import Problem
from ..grid import Grid
from ..layer import Parts
from ..mixer import Mixer, Traits, divides, mixture
from ..operator import OddInt
from ..parts import Act, BatchNorm, Conv

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class PatchwiseAttention(Mixer):
    """Values summed with the predicted kernels, batch norm, ReLU, and a 1x1 map back. Borders are mirrored.

    A head is ``head_channels`` neighbouring channels of the values; the released code interleaves them, which differs
    by the order of learnt weights only.
    """

    notation = "SAN"
    kernel: OddInt = Field(7, alias="k", description="side of the neighbourhood, positions")
    head_channels: PositiveInt = Field(8, alias="Ch", description="channels of the values that share one kernel")
    key_reduction: PositiveInt = Field(16, alias="rk", description="channels over those of queries and keys")
    value_reduction: PositiveInt = Field(4, alias="rv", description="channels over those of the values")

    def traits(self, at: Grid) -> Traits:
        reach, heads = self.kernel // 2, at.c // self.value_reduction // self.head_channels
        rank = mixture(heads + 1, self.kernel**2)
        return Traits("sliding", "separate", reach, False, self.head_channels, "position", reach, kernel_rank=rank)

    def check(self, at: Grid) -> Iterator[Problem]:
        reductions = [*divides(self, "key_reduction", at.c), *divides(self, "value_reduction", at.c)]
        yield from reductions or divides(self, "head_channels", at.c // self.value_reduction)
        if min(at.h, at.w) <= self.kernel // 2:
            what = f"k={self.kernel} mirrors {self.kernel // 2} positions, the map is {at.h}x{at.w}"
            yield Problem("MX201", what, "a smaller k, or a larger image", ("kernel",))

    def parts(self, at: Grid) -> Parts:
        keys, values, taps = at.c // self.key_reduction, at.c // self.value_reduction, self.kernel**2
        heads, seen = values // self.head_channels, keys * (taps + 1)
        return {
            "query": Conv(at.c, keys, 1, bias=True),
            "key": Conv(at.c, keys, 1, bias=True, shared_input=True),
            "value": Conv(at.c, values, 1, bias=True, shared_input=True),
            "norm1": BatchNorm(seen).on(at.to(seen)),
            "act1": Act("relu", seen).on(at.to(seen)),
            "squeeze": Conv(seen, heads, 1).on(at.to(seen)),
            "norm2": BatchNorm(heads).on(at.to(heads)),
            "act2": Act("relu", heads).on(at.to(heads)),
            "span": Conv(heads, heads * taps, 1, bias=True).on(at.to(heads)),
            "norm3": BatchNorm(values).on(at.to(values)),
            "act3": Act("relu", values).on(at.to(values)),
            "project": Conv(values, at.c, 1, bias=True).on(at.to(values)),
        }

    def macs(self, at: Grid) -> int:
        return at.pixels * (at.c // self.value_reduction) * self.kernel**2

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"aggregation": self.macs(at)}

    def kept(self, at: Grid) -> int:
        # keys and values in front of mirroring, the values of every neighbourhood, and the kernels
        keys, values = at.c // self.key_reduction, at.c // self.value_reduction
        return at.pixels * (keys + values + self.kernel**2 * (values + values // self.head_channels))

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        import torch

        seen = torch.cat([m.query(x), self._around(m.key(x))], 1)
        kernels = m.span(m.act2(m.norm2(m.squeeze(m.act1(m.norm1(seen))))))
        taps = self.kernel**2
        # every position has its own products: (B, heads, L, channels, taps) times (B, heads, L, taps, 1)
        values = self._around(m.value(x)).flatten(2).unflatten(1, (-1, self.head_channels, taps)).permute(0, 1, 4, 2, 3)
        kernels = kernels.flatten(2).unflatten(1, (-1, taps)).transpose(2, 3).unsqueeze(-1)
        y = torch.matmul(values, kernels).squeeze(-1).transpose(2, 3).flatten(1, 2)
        return m.project(m.act3(m.norm3(y.unflatten(2, x.shape[2:]))))

    def _around(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C * taps, H, W), each channel with its neighbourhood, mirrored at the border."""
        from torch.nn.functional import pad, unfold

        reach = self.kernel // 2
        return unfold(pad(x, (reach,) * 4, mode="reflect"), self.kernel).unflatten(2, x.shape[2:])
