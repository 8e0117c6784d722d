"""Squeeze-and-excitation: every channel is weighed by what the whole image holds. arXiv:1709.01507."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from ..errors import Problem
from ..grid import Grid
from ..layer import Parts
from ..mixer import Mixer, Traits, divides
from ..parts import Act, Conv

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class SqueezeExcitation(Mixer):
    """The image's mean passes two 1x1 maps with a ReLU between them; the sigmoid of the result scales the channels."""

    notation = "SE"
    also = ("squeeze-and-excitation",)
    reduction: PositiveInt = Field(16, alias="r", description="channels over the width between the two maps")

    def traits(self, at: Grid) -> Traits:
        return Traits("point", "separate", dynamic="image", context=None)

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from divides(self, "reduction", at.c)

    def parts(self, at: Grid) -> Parts:
        image = Grid(1, 1, at.c)
        hidden = image.to(at.c // self.reduction)
        return {
            "reduce": Conv(at.c, hidden.c, 1, bias=True).on(image),
            "act": Act("relu", hidden.c).on(hidden),
            "expand": Conv(hidden.c, at.c, 1, bias=True).on(hidden),
            "gate": Act("sigmoid", at.c).on(image),
        }

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"mul": at.size}

    def kept(self, at: Grid) -> int:
        return at.size + at.c

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return x * m.gate(m.expand(m.act(m.reduce(x.mean((2, 3), keepdim=True)))))
