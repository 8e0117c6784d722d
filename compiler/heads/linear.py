"""Mean pooling, then the classifier. ResNet, arXiv:1512.03385."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..grid import Grid
from ..head import Head
from ..layer import Parts
from ..parts import GlobalPool

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class LinearHead(Head):
    """Mean over all positions, and nothing more before the classifier."""

    notation = "linear"

    def parts(self, at: Grid) -> Parts:
        return {"pool": GlobalPool()}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.pool(x)
