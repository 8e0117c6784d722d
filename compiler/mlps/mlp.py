"""The channel MLP of a transformer block: widen, bend, narrow. arXiv:1706.03762, section 3.3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from ..grid import Grid
from ..layer import Parts
from ..operator import Operator
from ..parts import Act, Activation, Linear

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class Mlp(Operator):
    """Two linear maps over channels with an activation between them."""

    notation = "MLP"
    also = ("FFN",)
    ratio: PositiveInt = Field(4, alias="r", description="hidden width over channels")
    activation: Activation = Field("gelu", alias="act", description="the non-linearity")
    bias: bool = Field(True, description="biases of both linear maps")

    def parts(self, at: Grid) -> Parts:
        hidden = at.to(self.ratio * at.c)
        return {
            "fc1": Linear(at.c, hidden.c, self.bias),
            "act": Act(self.activation, hidden.c),
            "fc2": Linear(hidden.c, at.c, self.bias),
        }

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.fc2(m.act(m.fc1(x)))
