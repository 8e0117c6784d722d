"""ATC's feed-forward: two depth-wise separable convolutions in place of the linear maps. Attend To Convolution (2023),
section 3.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ..grid import Grid
from ..init import TorchDefault
from ..layer import Parts
from ..operator import OddInt, Operator
from ..parts import Act, Activation, BatchNorm, Conv, Linear

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class ConvFeedForward(Operator):
    """Two units of depth-wise convolution and pointwise map, BatchNorm behind each, an activation between the units.

    The paper draws the unit but states neither the norms nor their places; these give its parameter counts.
    """

    notation = "ConvFF"
    kernel: OddInt = Field(3, alias="k", description="side of the depth-wise kernels, positions")
    activation: Activation = Field("relu", alias="act", description="the non-linearity between the units")

    def parts(self, at: Grid) -> Parts:
        def unit(index: int) -> Parts:
            return {
                f"spatial{index}": Conv(at.c, at.c, self.kernel, groups=at.c, init=TorchDefault()),
                f"spatial{index}_norm": BatchNorm(at.c),
                f"point{index}": Linear(at.c, at.c),
                f"point{index}_norm": BatchNorm(at.c),
            }

        return {**unit(1), "act": Act(self.activation, at.c), **unit(2)}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        x = m.point1_norm(m.point1(m.spatial1_norm(m.spatial1(x))))
        return m.point2_norm(m.point2(m.spatial2_norm(m.spatial2(m.act(x)))))
