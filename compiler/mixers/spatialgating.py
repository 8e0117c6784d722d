"""gMLP's whole block: half of a widened map gates the other, through a linear map over positions. arXiv:2105.08050."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pydantic import Field, PositiveInt

from ..errors import Problem
from ..grid import Grid
from ..layer import Parts
from ..mixer import Mixer, Traits, fits, for_map
from ..parts import Act, LayerNorm, Linear

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class SpatialGating(Mixer):
    """Linear map and GELU; u * (W norm(v) + b) of its halves u and v; linear map. It needs no channel MLP beside it."""

    notation = "SpatialGating"
    also = ("gMLP", "SGU")
    ratio: PositiveInt = Field(6, alias="r", description="inner width over channels; half of it is the gate")
    height: PositiveInt | None = Field(None, description="rows of the map, as trained; those of the image if left out")
    width: PositiveInt | None = Field(None, description="columns of the map, as trained; as above")

    def settle(self, stage: int, at: Grid) -> Self:
        return for_map(self, at)

    def traits(self, at: Grid) -> Traits:
        return Traits("dense", "separate", None, False, dynamic="position", any_size=False)

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from fits(self, at)
        if self.ratio * at.c % 2:
            what = f"r={self.ratio} times {at.c} channels are no two halves"
            yield Problem("MX203", what, f"nearest: {self.ratio + 1}", ("ratio",), nearest=(str(self.ratio + 1),))

    def parts(self, at: Grid) -> Parts:
        inner = at.to(self.ratio * at.c)
        gate = at.to(inner.c // 2)
        start = SmallWeightUnitBias()
        return {
            "fc1": Linear(at.c, inner.c, bias=True),
            "act": Act("gelu", inner.c).on(inner),
            "norm": LayerNorm(gate.c).on(gate),
            "gate": Linear(at.pixels, at.pixels, bias=True, init=start).on(Grid(gate.c, 1, at.pixels)),
            "fc2": Linear(gate.c, at.c, bias=True).on(gate),
        }

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"mul": self.ratio * at.size // 2}

    def kept(self, at: Grid) -> int:
        # the gate and the widened map, a half of which the norm has counted as its input
        return self.ratio * at.size

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        u, v = m.act(m.fc1(x)).chunk(2, dim=1)
        return m.fc2(u * m.gate(m.norm(v).flatten(2)).unflatten(2, x.shape[2:]))


@dataclass(frozen=True, slots=True)
class SmallWeightUnitBias:
    """Weights near zero and biases of one: at first the gate lets everything pass."""

    def weight(self, tensor: Tensor) -> None:
        tensor.normal_(std=1e-6)

    def bias(self, tensor: Tensor, weight: Tensor) -> None:
        tensor.fill_(1.0)
