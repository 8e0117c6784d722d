"""Mean, LayerNorm, then the classifier. ConvNeXt, arXiv:2201.03545, section 2.6 and released code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, PositiveFloat

from ..grid import Grid
from ..head import Head
from ..layer import Parts
from ..parts import GlobalPool, LayerNorm

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class PostNormHead(Head):
    """Mean over all positions, then LayerNorm."""

    notation = "postnorm"
    eps: PositiveFloat = Field(1e-6, description="added to the variance")

    def parts(self, at: Grid) -> Parts:
        return {"pool": GlobalPool(), "norm": LayerNorm(at.c, eps=self.eps).on(Grid(1, 1, at.c))}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.norm(m.pool(x))
