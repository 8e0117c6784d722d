"""LayerNorm and mean, in either order. Swin, arXiv:2103.14030 (norm first); ConvNeXt, arXiv:2201.03545 (norm last)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveFloat

from ..grid import Grid
from ..head import Head
from ..layer import Parts
from ..parts import GlobalPool, LayerNorm

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class NormHead(Head):
    """Mean over all positions, and LayerNorm in front of it or behind it."""

    notation = "norm"
    order: Literal["norm_pool", "pool_norm"] = Field("norm_pool", description="which of the two comes first")
    eps: PositiveFloat = Field(1e-5, description="added to the variance")

    def parts(self, at: Grid) -> Parts:
        if self.order == "norm_pool":
            return {"norm": LayerNorm(at.c, eps=self.eps), "pool": GlobalPool()}
        return {"pool": GlobalPool(), "norm": LayerNorm(at.c, eps=self.eps).on(Grid(1, 1, at.c))}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.pool(m.norm(x)) if self.order == "norm_pool" else m.norm(m.pool(x))
