"""What a head is: from the last map of a backbone to one vector, and to classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .grid import Grid
from .layer import Layer, Parts
from .operator import Operator
from .parts import Drop, Identity, Linear

if TYPE_CHECKING:
    from torch import Tensor

    from .bound import Bound


class Head(Operator):
    """From (B, C, H, W) to the (B, width) vector in front of the classifier.

    Its parts hold a ``pool``, which can be exchanged for nothing to keep the map.
    """

    def width(self, c: int) -> int:
        """Channels of the vector, for a map of ``c`` channels."""
        return c

    def out(self, at: Grid) -> Grid:
        return Grid(1, 1, self.width(at.c))


@dataclass(frozen=True, slots=True)
class Classifier(Layer):
    """A head, dropout, and a linear map ``fc`` to the classes (nothing for 0 classes)."""

    head: Head
    classes: int
    dropout: float

    def out(self, at: Grid) -> Grid:
        return Grid(1, 1, self.classes or self.head.width(at.c))

    def parts(self, at: Grid) -> Parts:
        vector = self.head.out(at)
        fc = Linear(vector.c, self.classes, bias=True) if self.classes else Identity()
        return {**self.head.parts(at), "drop": Drop(self.dropout).on(vector), "fc": fc.on(vector)}

    def forward(self, m: Bound, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.head.forward(m, x)
        return x if pre_logits else m.fc(m.drop(x))
