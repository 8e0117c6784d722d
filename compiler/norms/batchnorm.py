"""Batch normalisation with running statistics. arXiv:1502.03167."""

from __future__ import annotations

from pydantic import Field, PositiveFloat

from .. import parts
from ..layer import Layer
from ..norm import Norm


class BatchNorm(Norm):
    """Zero mean and unit variance per channel over batch and positions; a learnt scale and shift."""

    notation = "BatchNorm"
    also = ("BN",)
    eps: PositiveFloat = Field(1e-5, description="added to the variance")

    def over(self, c: int) -> Layer:
        return parts.BatchNorm(c, self.eps)
