"""Multi-head self-attention over all positions. arXiv:1706.03762; as in CAFormer, arXiv:2210.13452."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, PositiveInt

from ..errors import Problem
from ..grid import Grid
from ..layer import Parts
from ..mixer import Mixer, Traits, divides
from ..parts import Linear

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class Attention(Mixer):
    """softmax(q k / sqrt(head width)) v in every head; no term for position."""

    notation = "attention"
    also = ("MHSA", "MSA", "self-attention")
    takes_token: ClassVar[bool] = True

    head_channels: PositiveInt = Field(32, alias="Ch", description="channels of a head")
    bias: bool = Field(False, description="biases of the q, k, v map and of the output map")

    def traits(self, at: Grid) -> Traits:
        return Traits("dense", "separate", None, False, self.head_channels, "position", None)

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from divides(self, "head_channels", at.c)

    def parts(self, at: Grid) -> Parts:
        return {"qkv": Linear(at.c, 3 * at.c, self.bias), "proj": Linear(at.c, at.c, self.bias)}

    def macs(self, at: Grid) -> int:
        return 2 * at.pixels * at.pixels * at.c

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"softmax": at.pixels * at.pixels * (at.c // self.head_channels)}

    def kept(self, at: Grid) -> int:
        # q, k, v and the logarithm of every row's sum; the result is the output map's input
        return at.pixels * (3 * at.c + at.c // self.head_channels)

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        from torch import channels_last
        from torch.nn.functional import scaled_dot_product_attention

        batch, c, height, width = x.shape
        # with the channels of a token side by side, heads are views all the way to the output
        qkv = m.qkv(x.contiguous(memory_format=channels_last)).flatten(2)
        heads = qkv.unflatten(1, (3, c // self.head_channels, self.head_channels))
        q, k, v = heads.transpose(-1, -2).unbind(1)
        y = scaled_dot_product_attention(q, k, v)
        return m.proj(y.transpose(-1, -2).reshape(batch, c, height, width))
