"""ConvNeXt: depth-wise convolution, norm, MLP, one residual; patches as stem and between stages. arXiv:2201.03545."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from ..errors import Problem
from ..family import Family
from ..grid import Grid
from ..head import Head
from ..heads import registry as known_heads
from ..heads.postnorm import PostNormHead
from ..init import Constant, Init, TruncNormal
from ..layer import Layer, Parts, Sequence
from ..mixer import Mixer
from ..mixers.dw import DW
from ..mlps import registry as known_mlps
from ..mlps.mlp import Mlp
from ..norm import Norm
from ..norms import registry as known_norms
from ..norms.layernorm import LayerNorm
from ..operator import Operator
from ..parts import Conv, DropPath, Weight
from ._fields import Depths, Dims, Mixers, Sizes, everywhere, sized
from ._frames import added
from ._stage import Stage
from .metaformer import Downsample, Stem

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound

SIZES: Sizes = {
    "t": ((3, 3, 9, 3), (96, 192, 384, 768)),
    "s": ((3, 3, 27, 3), (96, 192, 384, 768)),
    "b": ((3, 3, 27, 3), (128, 256, 512, 1024)),
    "l": ((3, 3, 27, 3), (192, 384, 768, 1536)),
}


class ConvNeXt(Family):
    """Four stages of blocks ``x + scale * mlp(norm(mixer(x)))``."""

    notation = "convnext"
    init: ClassVar[Init] = TruncNormal(0.02)

    size: Literal["t", "s", "b", "l"] | None = Field(None, description="a named size: depths and dims")
    depths: Depths = Field(default_factory=sized(SIZES, 0))
    dims: Dims = Field(default_factory=sized(SIZES, 1))
    mixers: Mixers = Field(default_factory=everywhere(DW(kernel=7, bias=True)))
    mlp: Annotated[Operator, known_mlps] = Field(Mlp(), description="channel MLP")
    norm: Annotated[Norm, known_norms] = Field(LayerNorm(), description="norm in blocks, stem and downsampling")
    head: Annotated[Head, known_heads] = Field(PostNormHead(), description="from the last map to classes")
    stem_stride: PositiveInt = Field(4, description="side of the stem's patches, pixels")
    layer_scale: PositiveFloat | None = Field(
        1e-6, description="start of the learnt factor per channel at the end of every block; null leaves it out"
    )

    def check(self, at: Grid) -> Iterator[Problem]:
        if not self.depths or not self.dims:
            hint = "size: t, or depths: [3, 3, 9, 3] and dims: [96, 192, 384, 768]"
            yield Problem("MX103", "depths and dims are missing", hint)
        elif len(self.depths) != len(self.dims):
            what = f"{len(self.depths)} depths and {len(self.dims)} dims"
            yield Problem("MX204", what, "one of each for every stage", ("dims",))

    def stem(self) -> Layer:
        side = self.stem_stride
        return Stem(Conv(self.in_chans, self.dims[0], side, side, padding=0, bias=True), self.norm)

    def downsample(self, index: int) -> Layer | None:
        """A last odd row or column is left out."""
        if index == 0:
            return None
        return Downsample(Conv(self.dims[index - 1], self.dims[index], 2, 2, padding=0, bias=True), self.norm)

    def stage(self, index: int) -> Layer:
        mixer = self.mixers[index]
        blocks = tuple(Block(mixer, self.mlp, self.norm, self.layer_scale, rate) for rate in self.stage_rates(index))
        return Stage(self.downsample(index), Sequence(blocks))

    def head_layer(self) -> Head:
        return self.head


@dataclass(frozen=True, slots=True)
class Block(Layer):
    """x + scale * mlp(norm(mixer(x)))."""

    mixer: Mixer
    mlp: Operator
    norm: Norm
    layer_scale: float | None
    drop_path: float = 0.0

    def parts(self, at: Grid) -> Parts:
        branch = {"mixer": self.mixer, "norm": self.norm.over(at.c), "mlp": self.mlp}
        if self.layer_scale:
            branch["scale"] = Weight((at.c,), Constant(self.layer_scale), decay=False)
        return {**branch, "drop_path": DropPath(self.drop_path)}

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"add": at.size, "mul": at.size if self.layer_scale else 0}

    def kept(self, at: Grid) -> int:
        return at.size if self.layer_scale else 0

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        y = m.mlp(m.norm(m.mixer(x)))
        return added(m, x, y, m.scale if self.layer_scale else None)
