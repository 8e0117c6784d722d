"""CvT: convolutions that embed tokens and project q, k and v. arXiv:2103.15808. With residual projections,
residual embeddings and convolutional feed-forward: Attend To Convolution (ATC, 2023).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from ..errors import Problem
from ..family import Family
from ..grid import Grid
from ..head import Head
from ..heads.classtoken import ClassToken
from ..heads.prenorm import PreNormHead
from ..init import Init, TorchDefault, TruncNormal
from ..layer import Layer, Modules, Parts, Sequence, chain
from ..mixers.convattention import ConvAttention
from ..mlps import registry as known_mlps
from ..mlps.mlp import Mlp
from ..norms.layernorm import LayerNorm
from ..operator import Operator
from ..parts import Act, BatchNorm, Conv
from ..per_stage import PerStage
from ._fields import Depths, Dims, Mixers
from ._stage import Stage
from ._tokens import TokenBlock, TokenStage, refuses_tokens
from .metaformer import Block

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..bound import Bound

NORM = LayerNorm(eps=1e-5)


class CvT(Family):
    """Three stages of attention blocks, each behind a convolutional token embedding; a class token in the last.

    ``mixers`` and ``mlps`` are ATC's two places: ``ConvAttention proj=residual`` replaces the linear projections,
    ``ConvFF`` the MLP. The paper removes all MLPs in words; its parameter counts keep that of stage 3.
    """

    notation = "cvt"
    init: ClassVar[Init] = TruncNormal(0.02)

    depths: Depths = (1, 2, 10)
    dims: Dims = (64, 192, 384)
    mixers: Mixers = (ConvAttention(),) * 3
    mlps: Annotated[tuple[Operator, ...], PerStage(known_mlps)] = Field(
        (Mlp(activation="quick_gelu"),) * 3, description="feed-forward of each stage"
    )
    embedding: Literal["conv", "residual"] = Field(
        "conv",
        description="tokens of stages 2 and 3: conv: a strided 3x3 convolution and LayerNorm; "
        "residual: a residual block of two plain 3x3 convolutions (Res* of ATC)",
    )
    stem_stride: PositiveInt = Field(4, description="stride of the 7x7 convolution that embeds the image")
    class_token: bool = Field(True, description="a class token in the last stage; else the mean over positions is read")

    def check(self, at: Grid) -> Iterator[Problem]:
        if len(self.depths) != len(self.dims):
            what = f"{len(self.depths)} depths and {len(self.dims)} dims"
            yield Problem("MX204", what, "one of each for every stage", ("dims",))
        elif self.class_token:
            last = len(self.depths) - 1
            yield from refuses_tokens(self.mixers[-1], self.mlps[-1], last, ("mlps", last))

    def stem(self) -> Layer:
        return Embedding(Conv(self.in_chans, self.dims[0], 7, self.stem_stride, 2, bias=True, init=TorchDefault()))

    def downsample(self, index: int) -> Layer | None:
        if index == 0:
            return None
        cin, cout = self.dims[index - 1], self.dims[index]
        if self.embedding == "residual":
            return ResidualEmbedding(cin, cout)
        return Embedding(Conv(cin, cout, 3, 2, bias=True, init=TorchDefault()))

    def stage(self, index: int) -> Layer:
        mixer, mlp, rates = self.mixers[index], self.mlps[index], self.stage_rates(index)
        down = self.downsample(index)
        if self.class_token and index == len(self.depths) - 1:
            return TokenStage(down, tuple(TokenBlock(mixer, mlp, NORM, rate) for rate in rates))
        return Stage(down, Sequence(tuple(Block(mixer, mlp, NORM, False, rate) for rate in rates)))

    def stage_rates(self, stage: int) -> list[float]:
        """Stochastic depth grows inside the last stage only."""
        depth = self.depths[stage]
        last = stage == len(self.depths) - 1
        return [self.drop_path * last * block / max(depth - 1, 1) for block in range(depth)]

    def head_layer(self) -> Head:
        return ClassToken() if self.class_token else PreNormHead()

    def module(self, at: Grid, children: Modules) -> nn.Module:
        from ..backbone import Backbone, TokenBackbone

        return (TokenBackbone if self.class_token else Backbone)(self, at, children)


@dataclass(frozen=True, slots=True)
class Embedding(Layer):
    """A strided convolution and LayerNorm."""

    conv: Conv

    def out(self, at: Grid) -> Grid:
        return self.conv.out(at)

    def parts(self, at: Grid) -> Parts:
        return chain({"conv": self.conv, "norm": NORM.over(self.conv.cout)}, at)

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.norm(m.conv(x))


@dataclass(frozen=True, slots=True)
class ResidualEmbedding(Layer):
    """Two plain 3x3 convolutions, the second strided, and a strided 1x1 convolution as shortcut; no non-linearity after
    the sum. ATC (2023), Table 2 and section 4; its inside is drawn there, and fixed here by the parameter counts.
    """

    cin: int
    cout: int

    def out(self, at: Grid) -> Grid:
        return at.strided(2).to(self.cout)

    def parts(self, at: Grid) -> Parts:
        first = {"conv1": Conv(self.cin, self.cin, 3, init=TorchDefault()), "norm1": BatchNorm(self.cin)}
        second = {"conv2": Conv(self.cin, self.cout, 3, 2, init=TorchDefault()), "norm2": BatchNorm(self.cout)}
        shortcut = Conv(self.cin, self.cout, 1, 2, init=TorchDefault(), shared_input=True)
        return {
            **chain({**first, "act": Act("relu", self.cin), **second}, at),
            **chain({"shortcut": shortcut, "shortcut_norm": BatchNorm(self.cout)}, at),
        }

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        y = m.norm2(m.conv2(m.act(m.norm1(m.conv1(x)))))
        return y + m.shortcut_norm(m.shortcut(x))
