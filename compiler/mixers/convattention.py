"""CvT's attention: q, k and v come from depth-wise convolutions. arXiv:2103.15808, section 3.2; with a shortcut around
each of them as in Attend To Convolution (2023), section 3.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, PositiveInt

from ..errors import Problem
from ..grid import Grid
from ..init import TorchDefault
from ..layer import On, Parts
from ..mixer import Mixer, Traits, divides
from ..operator import OddInt
from ..parts import BatchNorm, Conv, Linear, Pool

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class ConvAttention(Mixer):
    """softmax(q k / sqrt(channels)) v in every head, with strided k and v.

    A projection is depth-wise convolution, BatchNorm, linear map. ``residual`` adds a shortcut around it, a mean of 2x2
    positions where k and v are strided (the papers do not print that shortcut's form; it holds no parameters).
    """

    notation = "ConvAttention"
    takes_token: ClassVar[bool] = True
    reads_size: ClassVar[bool] = True

    kernel: OddInt = Field(3, alias="k", description="side of the depth-wise kernels, positions")
    kv_stride: PositiveInt = Field(2, alias="kv", description="stride of k and v, positions")
    head_channels: PositiveInt = Field(64, alias="Ch", description="channels of a head")
    projection: Literal["conv", "residual"] = Field(
        "conv", alias="proj", description="conv: CvT's projection; residual: with a shortcut around it"
    )

    tokens: ClassVar[int] = 0
    """Tokens without a position that stand in front of the map; they skip the convolutions."""

    def traits(self, at: Grid) -> Traits:
        # a head shares its weights over channels, but what it weighs comes from a convolution of each channel's own
        width = self.head_channels if self.kernel == 1 else 1
        return Traits("dense", "separate", None, False, width, "position", None)

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from divides(self, "head_channels", at.c)

    def with_token(self, at: Grid) -> On:
        return _WithToken(**dict(self)).on(at)

    def _row(self, name: str, at: Grid) -> Grid:
        """The row of tokens and positions that q, k or v has."""
        grid = at.strided(self._stride(name))
        return Grid(1, self.tokens + grid.pixels, at.c)

    def _stride(self, name: str) -> int:
        return 1 if name == "q" else self.kv_stride

    def parts(self, at: Grid) -> Parts:
        out = Linear(at.c, at.c, bias=True).on(self._row("q", at))
        side = self.kv_stride
        pool = {"pool": Pool("avg", side, side, padding=0, ceil=True, shared_input=True)} if self._pools() else {}
        return {
            **self._projection("q", at),
            **self._projection("k", at),
            **self._projection("v", at),
            **pool,
            "proj": out,
        }

    def _projection(self, name: str, at: Grid) -> dict[str, On]:
        stride, shared = self._stride(name), name != "q"
        conv = Conv(at.c, at.c, self.kernel, stride, groups=at.c, init=TorchDefault(), shared_input=shared)
        return {
            f"{name}_conv": conv.on(at),
            f"{name}_norm": BatchNorm(at.c).on(conv.out(at)),
            f"{name}_linear": Linear(at.c, at.c, bias=True).on(self._row(name, at)),
        }

    def _pools(self) -> bool:
        return self.projection == "residual" and self.kv_stride > 1

    def macs(self, at: Grid) -> int:
        return 2 * self._row("q", at).pixels * self._row("k", at).pixels * at.c

    def tally(self, at: Grid) -> Mapping[str, int]:
        queries, keys = self._row("q", at), self._row("k", at)
        softmax = queries.pixels * keys.pixels * (at.c // self.head_channels)
        return {"softmax": softmax, "add": (queries.size + 2 * keys.size) * (self.projection == "residual")}

    def kept(self, at: Grid) -> int:
        # q, k, v and the logarithm of every row's sum; the result is the output map's input
        queries, keys = self._row("q", at), self._row("k", at)
        return queries.size + 2 * keys.size + queries.pixels * (at.c // self.head_channels)

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return self.attend(m, x, None).transpose(1, 2).unflatten(2, x.shape[2:])

    def attend(self, m: Bound, x: Tensor, tokens: Tensor | None) -> Tensor:
        """Attention among tokens (B, T, C), where there are any, and the positions of a map: (B, T + H W, C)."""
        from torch.nn.functional import scaled_dot_product_attention

        # linear maps read the last axis here: as 1x1 convolutions of a single row their layout is ambiguous for one
        # image, and what a compiled attention makes of that is garbage
        q, k, v = (self._heads(self._project(m, name, x, tokens)) for name in "qkv")
        y = scaled_dot_product_attention(q, k, v, scale=x.shape[1] ** -0.5)
        return m.proj(y.transpose(1, 2).flatten(2))

    def _heads(self, row: Tensor) -> Tensor:
        """(B, N, C) as (B, heads, N, head channels)."""
        return row.unflatten(2, (-1, self.head_channels)).transpose(1, 2)

    def _project(self, m: Bound, name: str, x: Tensor, tokens: Tensor | None) -> Tensor:
        conv, norm, linear = (getattr(m, f"{name}_{part}") for part in ("conv", "norm", "linear"))
        y = linear(_row(norm(conv(x)), tokens))
        if self.projection == "conv":
            return y
        return y + _row(m.pool(x) if name != "q" and self._pools() else x, tokens)


class _WithToken(ConvAttention):
    """The same on rows: a class token, then the map's positions. ``forward`` takes the map's size beside the row."""

    tokens: ClassVar[int] = 1

    def forward(self, m: Bound, x: Tensor, size: tuple[int, int]) -> Tensor:  # type: ignore[override]
        row = x.squeeze(2)
        y = self.attend(m, row[..., 1:].unflatten(2, size), row[..., :1].transpose(1, 2))
        return y.transpose(1, 2).unsqueeze(2)


def _row(x: Tensor, tokens: Tensor | None) -> Tensor:
    """Tokens and the positions of a map: (B, T + H W, C)."""
    import torch

    positions = x.flatten(2).transpose(1, 2)
    return positions if tokens is None else torch.cat([tokens, positions], dim=1)
