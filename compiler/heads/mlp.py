"""MetaFormer's head: mean, LayerNorm, one hidden layer with squared ReLU, LayerNorm. arXiv:2210.13452, section 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from ..grid import Grid
from ..head import Head
from ..layer import Parts
from ..parts import Act, GlobalPool, LayerNorm, Linear

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class MlpHead(Head):
    """Mean over all positions, LayerNorm, a hidden layer of ``ratio`` times the width."""

    notation = "mlp"
    ratio: PositiveInt = Field(4, alias="r", description="hidden width over channels")

    def width(self, c: int) -> int:
        return self.ratio * c

    def parts(self, at: Grid) -> Parts:
        vector, hidden = Grid(1, 1, at.c), Grid(1, 1, self.width(at.c))
        return {
            "pool": GlobalPool(),
            "norm": LayerNorm(at.c, eps=1e-6).on(vector),
            "fc1": Linear(at.c, hidden.c, bias=True).on(vector),
            "act": Act("squared_relu", hidden.c).on(hidden),
            "fc1_norm": LayerNorm(hidden.c).on(hidden),
        }

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.fc1_norm(m.act(m.fc1(m.norm(m.pool(x)))))
