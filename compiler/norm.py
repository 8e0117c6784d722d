"""What a norm is: an operator that becomes a leaf for a number of channels."""

from __future__ import annotations

from .layer import Layer
from .operator import Operator


class Norm(Operator):
    """Normalises (B, C, H, W) and keeps its shape."""

    def over(self, c: int) -> Layer:
        """The layer for ``c`` channels."""
        raise TypeError(f"{self.notation} becomes no layer")
