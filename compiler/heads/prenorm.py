"""LayerNorm at every position, mean, then the classifier. Swin, arXiv:2103.14030, section 3.1."""

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


class PreNormHead(Head):
    """LayerNorm over the channels of every position, then the mean over all positions."""

    notation = "prenorm"
    eps: PositiveFloat = Field(1e-5, description="added to the variance")

    def parts(self, at: Grid) -> Parts:
        return {"norm": LayerNorm(at.c, eps=self.eps), "pool": GlobalPool()}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.pool(m.norm(x))
