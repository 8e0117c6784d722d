"""Layer normalisation over the channels of each position. arXiv:1607.06450."""

from __future__ import annotations

from pydantic import Field, PositiveFloat

from .. import parts
from ..layer import Layer
from ..norm import Norm


class LayerNorm(Norm):
    """Zero mean and unit variance over channels, at every position; a learnt scale, and a shift where wanted."""

    notation = "LayerNorm"
    also = ("LN",)
    bias: bool = Field(True, description="learn a shift per channel")
    eps: PositiveFloat = Field(1e-6, description="added to the variance")

    def over(self, c: int) -> Layer:
        return parts.LayerNorm(c, self.bias, self.eps)
