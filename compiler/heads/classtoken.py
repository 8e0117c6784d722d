"""LayerNorm and classifier on the class token alone. ViT, arXiv:2010.11929, section 3.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, PositiveFloat

from ..grid import Grid
from ..head import Head
from ..layer import Modules, Parts
from ..parts import LayerNorm, Leaf

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..bound import Bound


class FirstPosition(Leaf):
    """The first position of a row of tokens: (B, C, 1, N) to (B, C)."""

    def out(self, at: Grid) -> Grid:
        return Grid(1, 1, at.c)

    def module(self, at: Grid, children: Modules) -> nn.Module:
        from ..modules import FirstPosition as Module

        return Module()


class ClassToken(Head):
    """What a class token has gathered, normalised."""

    notation = "ClassToken"
    eps: PositiveFloat = Field(1e-5, description="added to the variance")

    def parts(self, at: Grid) -> Parts:
        return {"pool": FirstPosition(), "norm": LayerNorm(at.c, eps=self.eps).on(Grid(1, 1, at.c))}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.norm(m.pool(x))
