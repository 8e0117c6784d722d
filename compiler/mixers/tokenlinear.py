"""One linear map over positions, the same for every channel. ResMLP, arXiv:2105.03404, section 2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from pydantic import Field, PositiveInt

from ..errors import Problem
from ..grid import Grid
from ..layer import Parts
from ..mixer import Mixer, Traits, fits, for_map
from ..parts import Linear

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class TokenLinear(Mixer):
    """Every position is a learnt sum over all positions; the image size is fixed."""

    notation = "TokenLinear"
    also = ("ResMLP",)
    height: PositiveInt | None = Field(None, description="rows of the map, as trained; those of the image if left out")
    width: PositiveInt | None = Field(None, description="columns of the map, as trained; as above")

    def settle(self, stage: int, at: Grid) -> Self:
        return for_map(self, at)

    def traits(self, at: Grid) -> Traits:
        return Traits("dense", "separate", None, False, at.c, any_size=False)

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from fits(self, at)

    def parts(self, at: Grid) -> Parts:
        return {"fc": Linear(at.pixels, at.pixels, bias=True).on(Grid(at.c, 1, at.pixels))}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.fc(x.flatten(2)).unflatten(2, x.shape[2:])
