"""An MLP over positions, the same for every channel. MLP-Mixer, arXiv:2105.01601, section 2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from pydantic import Field, PositiveInt

from ..errors import Problem
from ..grid import Grid
from ..layer import Parts
from ..mixer import Mixer, Traits, fits, for_map
from ..parts import Act, Activation, Linear

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class TokenMLP(Mixer):
    """Two linear maps over all positions with an activation between them; the image size is fixed."""

    notation = "TokenMLP"
    also = ("MLP-Mixer",)
    hidden: PositiveInt | None = Field(
        None, alias="h", description="hidden width; half the number of channels if left out"
    )
    activation: Activation = Field("gelu", alias="act", description="the non-linearity")
    height: PositiveInt | None = Field(None, description="rows of the map, as trained; those of the image if left out")
    width: PositiveInt | None = Field(None, description="columns of the map, as trained; as above")

    def settle(self, stage: int, at: Grid) -> Self:
        return for_map(self.model_copy(update={"hidden": self.hidden or max(at.c // 2, 1)}), at)

    def traits(self, at: Grid) -> Traits:
        return Traits("dense", "separate", None, False, at.c, any_size=False)

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from fits(self, at)

    def parts(self, at: Grid) -> Parts:
        assert self.hidden is not None, "settle the mixer first"
        rows, hidden = Grid(at.c, 1, at.pixels), Grid(at.c, 1, self.hidden)
        return {
            "fc1": Linear(at.pixels, self.hidden, bias=True).on(rows),
            "act": Act(self.activation, self.hidden).on(hidden),
            "fc2": Linear(self.hidden, at.pixels, bias=True).on(hidden),
        }

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        # linear maps read the last axis of (B, C, H W)
        return m.fc2(m.act(m.fc1(x.flatten(2)))).unflatten(2, x.shape[2:])
