"""HyenaPixel: a gated convolution with a kernel larger than the map. arXiv:2402.19305, section 3 and Figure 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from ..complaints import WRONG_VALUE, wrong
from ..fftwork import fft_flops_2d
from ..grid import Grid
from ..init import Normal, Table
from ..layer import Layer, On, Parts
from ..mixer import Mixer, Traits, mixture
from ..operator import OddInt
from ..parts import Conv, LayerNorm, Linear, Weight
from ._filters import MapFilter, convolved, embedding_width, sines_of_map, stored

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..bound import Bound


class Hpx(Mixer):
    """v * g(q * k): q, k, v from a point-wise and a short depth-wise convolution, g a global depth-wise convolution.

    ``implicit`` is the published operator. ``separable`` replaces its filter by two learnt ones of one row and one
    column (Table 2), ``explicit`` by a learnt one; neither decays or has the skip.
    """

    notation = "Hpx"
    also = ("HyenaPixel",)
    kernel: OddInt | None = Field(
        None, alias="K", description="side of the global kernel, positions; twice the stage's map minus one if left out"
    )
    embedding: Annotated[int, Field(gt=0, multiple_of=4)] | None = Field(
        None, alias="E", description="width of the position embedding, a multiple of 4; 32, 32, 48, 64 by stage"
    )
    hidden: PositiveInt | None = Field(None, alias="F", description="width of the filter network; twice E if left out")
    filter: Literal["implicit", "separable", "explicit"] = Field(
        "implicit", description="where the global kernel comes from: a network, a row and a column, or weights"
    )
    short_kernel: OddInt = Field(5, alias="k", description="side of the short depth-wise kernel, positions")
    ln: bool = Field(False, description="LayerNorm on q * k and in front of the output map, as released checkpoints")

    @model_validator(mode="after")
    def _network_fields(self) -> Self:
        for letter, value in (("E", self.embedding), ("F", self.hidden)):
            if value is not None and self.filter != "implicit":
                raise wrong(
                    WRONG_VALUE,
                    f"{letter} sizes a filter network, which filter={self.filter} has not",
                    f"drop {letter}",
                )
        return self

    def settle(self, stage: int, at: Grid) -> Self:
        update: dict[str, int] = {"kernel": self.kernel or 2 * max(at.h, at.w) - 1}
        if self.filter == "implicit":
            embedding = self.embedding or embedding_width(stage)
            update |= {"embedding": embedding, "hidden": self.hidden or 2 * embedding}
        return self.model_copy(update=update)

    def traits(self, at: Grid) -> Traits:
        reach = self._side // 2 + self.short_kernel // 2
        if reach >= max(at.h, at.w) - 1:
            return Traits("dense", "separate", None, False, dynamic="position", context=None)
        rank = mixture(self._side**2, (2 * reach + 1) ** 2)
        return Traits("sliding", "separate", reach, False, dynamic="position", context=reach, kernel_rank=rank)

    @property
    def _side(self) -> int:
        assert self.kernel is not None, "settle the mixer first"
        return self.kernel

    def parts(self, at: Grid) -> Parts:
        norm: Layer = LayerNorm(at.c, bias=False)
        return {
            "pointwise": Linear(at.c, 3 * at.c, bias=True),
            "depthwise": Conv(3 * at.c, 3 * at.c, self.short_kernel, groups=3 * at.c, bias=True),
            **({"gate_norm": norm} if self.ln else {}),
            **self._filter_parts(at),
            **({"out_norm": norm} if self.ln else {}),
            "project": Linear(at.c, at.c, bias=True),
        }

    def _filter_parts(self, at: Grid) -> dict[str, Layer | On]:
        c, side = at.c, self._side
        if self.filter == "explicit":
            return {"global_conv": Conv(c, c, side, groups=c, bias=True)}
        if self.filter == "separable":
            return {
                "columns": Conv(c, c, (side, 1), groups=c, bias=True),
                "rows": Conv(c, c, (1, side), groups=c, bias=True),
            }
        assert self.embedding is not None and self.hidden is not None, "settle the mixer first"
        taps = Grid(side, side, self.embedding)
        return {
            "positions": Weight((1, self.embedding, side, side), init=Table(sines_of_map)),
            "filter": MapFilter(self.embedding, self.hidden, c, side).on(taps),
            "skip": Weight((c,), init=Normal(1.0), decay=False),
        }

    def fft_flops(self, at: Grid) -> int:
        return round(fft_flops_2d(at.h, at.w, self._side, at.c)) if self.filter == "implicit" else 0

    def tally(self, at: Grid) -> Mapping[str, int]:
        skip = self.filter == "implicit"
        return {"mul": (2 + skip) * at.size, "add": skip * at.size}

    def kept(self, at: Grid) -> int:
        # q, k, v and the convolution's result; its input and filter too, unless a convolution layer counts them
        own = 4 * at.size
        return own if self.filter != "implicit" else own + at.size + at.c * self._side**2

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        q, k, v = m.depthwise(m.pointwise(x)).chunk(3, 1)
        a = m.gate_norm(q * k) if self.ln else q * k
        y = v * self._mix(m, a)
        return m.project(m.out_norm(y) if self.ln else y)

    def _mix(self, m: Bound, a: Tensor) -> Tensor:
        if self.filter == "explicit":
            return m.global_conv(a)
        if self.filter == "separable":
            return m.rows(m.columns(a))
        return (convolved(m, a) + a * m.skip[:, None, None]).to(a.dtype)

    def freeze(self, m: Bound) -> nn.Module:
        return stored(m) if self.filter == "implicit" else m
