"""Group normalisation. arXiv:1803.08494; over the whole image as in PoolFormer, arXiv:2111.11418."""

from __future__ import annotations

from pydantic import Field, PositiveFloat, PositiveInt

from .. import parts
from ..layer import Layer
from ..norm import Norm


class GroupNorm(Norm):
    """Zero mean and unit variance over all positions and the channels of a group; a learnt scale and shift."""

    notation = "GroupNorm"
    also = ("GN",)
    groups: PositiveInt = Field(1, description="groups of channels; 1 normalises the whole image")
    bias: bool = Field(True, description="learn a shift per channel")
    eps: PositiveFloat = Field(1e-6, description="added to the variance")

    def over(self, c: int) -> Layer:
        return parts.GroupNorm(c, self.groups, self.bias, self.eps)
