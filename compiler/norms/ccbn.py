"""Batch normalisation with centering calibration. "Representative Batch Normalization", CVPR 2021, section 3.2; as used
in "Demystifying Local Vision Transformer", arXiv:2106.04263, Table 9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field, PositiveFloat

from .. import parts
from ..grid import Grid
from ..layer import Layer, Parts
from ..norm import Norm

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class CenteredBatchNorm(Norm):
    """x + w mean(x) with the image's own mean and a learnt w per channel, zero at the start; then BatchNorm."""

    notation = "CCBN"
    eps: PositiveFloat = Field(1e-5, description="added to the variance")

    def over(self, c: int) -> Layer:
        return CenteredNorm(c, self.eps)


@dataclass(frozen=True, slots=True)
class CenteredNorm(Layer):
    """The norm for ``c`` channels."""

    c: int
    eps: float

    def parts(self, at: Grid) -> Parts:
        return {"center": parts.Weight((self.c,), decay=False), "norm": parts.BatchNorm(self.c, self.eps)}

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"add": at.size}

    def kept(self, at: Grid) -> int:
        return self.c

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.norm(x + m.center[:, None, None] * x.mean((2, 3), keepdim=True))
