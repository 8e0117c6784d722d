"""What the Hyena operators on sequences share: gates around a long convolution over the flattened map.
arXiv:2302.10866, section 3; arXiv:2402.19305, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveInt

from ..fftwork import fft_flops_1d
from ..grid import Grid
from ..init import Normal, Table, TorchDefault
from ..layer import Layer, Parts
from ..mixer import Mixer, Traits
from ..operator import OddInt
from ..parts import Conv, LayerNorm, Linear, Weight
from ._filters import SequenceFilter, convolved, embedding_width, stored

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..bound import Bound


class SequenceMixer(Mixer):
    """c0 * g(c1 * c2) on tokens in row-major order: c from a linear map and a short convolution, g a long one."""

    causal: ClassVar[bool]

    length: PositiveInt | None = Field(
        None, alias="L", description="tokens the filter is made for; the pixels of the stage's map if left out"
    )
    embedding: Annotated[int, Field(gt=0, multiple_of=2)] | None = Field(
        None, alias="E", description="waves in the position embedding, an even number; 32, 32, 48, 64 by stage"
    )
    hidden: PositiveInt | None = Field(None, alias="F", description="width of the filter network; twice E if left out")
    short_kernel: OddInt = Field(3, alias="k", description="taps of the short convolution, tokens")
    ln: bool = Field(False, description="LayerNorm on the gated tokens and in front of the output map")

    def settle(self, stage: int, at: Grid) -> Self:
        embedding = self.embedding or embedding_width(stage)
        return self.model_copy(
            update={
                "length": self.length or at.pixels,
                "embedding": embedding,
                "hidden": self.hidden or 2 * embedding,
            }
        )

    @property
    def tokens(self) -> int:
        """Tokens the filter is made for."""
        assert self.length is not None, "settle the mixer first"
        return self.length

    @property
    def taps(self) -> int:
        """Taps of the filter: every token in both directions, or in one."""
        return self.tokens if self.causal else 2 * self.tokens - 1

    def traits(self, at: Grid) -> Traits:
        short = self.short_kernel - 1 if self.causal else self.short_kernel // 2
        seen = self.tokens - 1 + short
        if seen >= at.pixels - 1:
            space: Literal["causal", "dense"] = "causal" if self.causal else "dense"
            return Traits(space, "separate", None, False, dynamic="position", context=None)
        # a map larger than it was made for: the next token may be at the other end of the next row
        far = max(at.w - 1, (at.w - 1 + seen) // at.w)
        reach = None if far >= max(at.h, at.w) - 1 else far
        return Traits("sliding", "separate", reach, False, dynamic="position", context=reach)

    def tables(self) -> tuple[Table, Table]:
        """Initial position embedding (T, E + 1), and time of every tap (T, 1)."""
        raise TypeError(f"{self.notation} says nothing about time")

    def parts(self, at: Grid) -> Parts:
        assert self.embedding is not None and self.hidden is not None, "settle the mixer first"
        c, width = at.c, self.embedding + 1
        embedding, time = self.tables()
        norm: Layer = LayerNorm(c, bias=False)
        line = Grid(1, self.taps, width)
        return {
            "expand": Linear(c, 3 * c, bias=True),
            "short": self._short(3 * c).on(Grid(1, at.pixels, 3 * c)),
            **({"gate_norm": norm} if self.ln else {}),
            "positions": Weight((self.taps, width), init=embedding),
            "filter": SequenceFilter(width, self.hidden, c, self.taps, time).on(line),
            "skip": Weight((c,), init=Normal(1.0), decay=False),
            **({"out_norm": norm} if self.ln else {}),
            "project": Linear(c, c, bias=True),
        }

    def _short(self, c: int) -> Conv:
        # causal: zeros on both sides, and what lies behind the last token is cut off
        pad = self.short_kernel - 1 if self.causal else self.short_kernel // 2
        return Conv(c, c, (1, self.short_kernel), padding=(0, pad), groups=c, bias=True, init=TorchDefault())

    def fft_flops(self, at: Grid) -> int:
        return round(fft_flops_1d(at.pixels, self.taps, at.c))

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"mul": 3 * at.size, "add": at.size}

    def kept(self, at: Grid) -> int:
        # three gates, input and result of the long convolution, and its filter
        return 5 * at.size + at.c * self.taps

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        tokens = m.expand(x).flatten(2).unsqueeze(2)
        gates = m.short(tokens)[:, :, 0, : height * width]
        out, left, right = gates.unflatten(-1, (height, width)).chunk(3, 1)
        a = m.gate_norm(left * right) if self.ln else left * right
        flat = a.flatten(2)
        long = convolved(m, flat, causal=self.causal)
        y = out * (long + flat * m.skip[:, None]).to(a.dtype).view_as(out)
        return m.project(m.out_norm(y) if self.ln else y)

    def freeze(self, m: Bound) -> nn.Module:
        return stored(m, causal=self.causal)
