"""PoolFormer's mixer: what the neighbourhood's mean says beyond the position itself. arXiv:2111.11418, section 3.2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from ..grid import Grid
from ..layer import Parts
from ..mixer import Mixer, Traits
from ..operator import OddInt
from ..parts import Pool

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class Pooling(Mixer):
    """Mean over a window, borders left out, minus the input, which the block's residual adds back. No weights."""

    notation = "pooling"
    also = ("AvgPool",)
    kernel: OddInt = Field(3, alias="k", description="side of the window, positions")

    def traits(self, at: Grid) -> Traits:
        return Traits("sliding", "separate", reach=self.kernel // 2, channels_per_weight=at.c)

    def parts(self, at: Grid) -> Parts:
        return {"pool": Pool("avg", self.kernel, c=at.c)}

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"add": at.size}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.pool(x) - x
