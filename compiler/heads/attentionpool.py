"""Attention pooling with registers: a learnt query gathers the tokens. Registers, arXiv:2309.16588; as a head,
arXiv:2402.19305, Table 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field, NonNegativeInt, PositiveInt

from ..errors import Problem
from ..grid import Grid
from ..head import Head
from ..init import Normal, TruncNormal
from ..layer import Layer, Parts
from ..mixer import divides
from ..parts import Act, LayerNorm, Linear, Weight

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class AttentionPool(Head):
    """Tokens and registers, LayerNorm, one learnt query with an MLP behind it, LayerNorm."""

    notation = "AttentionPool"
    registers: NonNegativeInt = Field(0, description="learnt tokens beside those of the map")
    head_channels: PositiveInt = Field(32, alias="Ch", description="channels of an attention head")
    ratio: PositiveInt = Field(4, alias="r", description="hidden width of the MLP over channels")

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from divides(self, "head_channels", at.c)

    def parts(self, at: Grid) -> Parts:
        pool = LatentPool(self.registers, self.head_channels, self.ratio)
        return {"pool": pool, "norm": LayerNorm(at.c).on(self.out(at))}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.norm(m.pool(x))


@dataclass(frozen=True, slots=True)
class LatentPool(Layer):
    """(B, C, H, W) to (B, C): y = attention of a learnt query over all tokens, then y + mlp(norm(y))."""

    registers: int
    head_channels: int
    ratio: int

    def out(self, at: Grid) -> Grid:
        return Grid(1, 1, at.c)

    def _tokens(self, at: Grid) -> Grid:
        return Grid(1, at.pixels + self.registers, at.c)

    def parts(self, at: Grid) -> Parts:
        c, tokens, vector = at.c, self._tokens(at), self.out(at)
        hidden = vector.to(self.ratio * c)
        return {
            **({"registers": Weight((self.registers, c), init=Normal(1.0))} if self.registers else {}),
            "tokens_norm": LayerNorm(c).on(tokens),
            "latent": Weight((1, c), init=TruncNormal(c**-0.5)),
            # autograd keeps the query, a parameter, at no cost
            "q": Linear(c, c, bias=True, shared_input=True).on(vector),
            "kv": Linear(c, 2 * c, bias=True).on(tokens),
            "project": Linear(c, c, bias=True).on(vector),
            "norm": LayerNorm(c).on(vector),
            "fc1": Linear(c, hidden.c, bias=True).on(vector),
            "act": Act("gelu", hidden.c).on(hidden),
            "fc2": Linear(hidden.c, c, bias=True).on(hidden),
        }

    def macs(self, at: Grid) -> int:
        return 2 * self._tokens(at).size

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"softmax": self._tokens(at).pixels * (at.c // self.head_channels), "add": at.c}

    def kept(self, at: Grid) -> int:
        # keys, values, the query, and the logarithm of every row's sum
        return 2 * self._tokens(at).size + at.c + at.c // self.head_channels

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        import torch
        from torch.nn.functional import scaled_dot_product_attention

        batch, c = x.shape[:2]
        tokens = x.flatten(2).transpose(1, 2)
        if self.registers:
            tokens = torch.cat((tokens, m.registers.to(tokens.dtype).expand(batch, -1, -1)), 1)
        k, v = m.kv(m.tokens_norm(tokens)).unflatten(-1, (2, -1, self.head_channels)).permute(2, 0, 3, 1, 4)
        q = m.q(m.latent).view(1, -1, 1, self.head_channels).expand(batch, -1, -1, -1)
        y = m.project(scaled_dot_product_attention(q, k, v).reshape(batch, c))
        return y + m.fc2(m.act(m.fc1(m.norm(y))))
