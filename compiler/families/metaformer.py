"""MetaFormer: norm, token mixer, norm, channel MLP, four stages. arXiv:2111.11418 and arXiv:2210.13452; HyenaPixel's
frame, arXiv:2402.19305.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from ..errors import Problem
from ..family import Family
from ..grid import Grid
from ..head import Head
from ..heads import registry as known_heads
from ..heads.mlp import MlpHead
from ..init import Init, TruncNormal
from ..layer import Layer, Parts, Sequence, chain
from ..mixer import Mixer
from ..mlps import registry as known_mlps
from ..mlps.mlp import Mlp
from ..norm import Norm
from ..norms import registry as known_norms
from ..norms.layernorm import LayerNorm
from ..operator import Operator
from ..parts import Conv, DropPath, scale
from ._fields import BlockMixers, Depths, Dims, Mixers, Sizes, sized
from ._stage import Stage

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound

_STANDARD = (64, 128, 320, 512)
SIZES: Sizes = {
    "s4": ((1, 1, 1, 1), _STANDARD),
    "s12": ((2, 2, 6, 2), _STANDARD),
    "s18": ((3, 3, 9, 3), _STANDARD),
    "s36": ((3, 12, 18, 3), _STANDARD),
    "m36": ((3, 12, 18, 3), (96, 192, 384, 576)),
    "b36": ((3, 12, 18, 3), (128, 256, 512, 768)),
}


class MetaFormer(Family):
    """Four stages of blocks ``x + mixer(norm(x))``, ``x + mlp(norm(x))``; every stage has its own mixer."""

    notation = "metaformer"
    also = ("PoolFormer", "ConvFormer", "CAFormer", "HpxFormer")
    init: ClassVar[Init] = TruncNormal(0.02)

    size: Literal["s4", "s12", "s18", "s36", "m36", "b36"] | None = Field(
        None, description="a named size: depths and dims"
    )
    depths: Depths = Field(default_factory=sized(SIZES, 0))
    dims: Dims = Field(default_factory=sized(SIZES, 1))
    mixers: Mixers
    blocks: BlockMixers = ()
    mlp: Annotated[Operator, known_mlps] = Field(Mlp(activation="star_relu", bias=False), description="channel MLP")
    norm: Annotated[Norm, known_norms] = Field(LayerNorm(bias=False), description="norm in front of mixers and MLPs")
    patch_norm: Annotated[Norm, known_norms] = Field(
        default_factory=lambda data: data.get("norm"),
        description="norm behind the stem and in front of downsampling; that of the blocks if left out",
    )
    head: Annotated[Head, known_heads] = Field(MlpHead(), description="from the last map to classes")
    stem_kind: Literal["patch", "half", "small"] = Field(
        "patch",
        alias="stem",
        description="patch: 7x7 convolution, stride 4; for images of 32 pixels and less half: 3x3, stride 2, "
        "and small: 3x3, stride 1",
    )
    res_scale: tuple[bool, ...] = Field(
        default_factory=lambda data: tuple(stage > 2 for stage, _ in enumerate(data.get("depths", ()), 1)),
        description="learn a scale of the residual, by stage; from the third stage on if left out",
    )

    def check(self, at: Grid) -> Iterator[Problem]:
        if not self.depths or not self.dims:
            yield Problem(
                "MX103",
                "depths and dims are missing",
                "size: s18, or depths: [3, 3, 9, 3] and dims: [64, 128, 320, 512]",
            )
        elif len(self.depths) != len(self.dims):
            what = f"{len(self.depths)} depths and {len(self.dims)} dims"
            yield Problem("MX204", what, "one of each for every stage", ("dims",))
        elif len(self.res_scale) != len(self.depths):
            what = f"{len(self.res_scale)} res_scale for {len(self.depths)} stages"
            yield Problem("MX204", what, "one for every stage", ("res_scale",))

    def stem(self) -> Layer:
        kernel, stride, padding = {"patch": (7, 4, 2), "half": (3, 2, 1), "small": (3, 1, 1)}[self.stem_kind]
        return Stem(Conv(self.in_chans, self.dims[0], kernel, stride, padding, bias=True), self.patch_norm)

    def downsample(self, index: int) -> Layer | None:
        if index == 0:
            return None
        return Downsample(Conv(self.dims[index - 1], self.dims[index], 3, 2, bias=True), self.patch_norm)

    def stage(self, index: int) -> Layer:
        blocks = tuple(
            Block(self.mixer(index, number), self.mlp, self.norm, self.res_scale[index], rate)
            for number, rate in enumerate(self.stage_rates(index))
        )
        return Stage(self.downsample(index), Sequence(blocks))

    def head_layer(self) -> Head:
        return self.head


@dataclass(frozen=True, slots=True)
class Stem(Layer):
    """A convolution that cuts the image into patches, and a norm."""

    conv: Conv
    norm: Norm

    def out(self, at: Grid) -> Grid:
        return self.conv.out(at)

    def parts(self, at: Grid) -> Parts:
        return chain({"conv": self.conv, "norm": self.norm.over(self.conv.cout)}, at)

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.norm(m.conv(x))


@dataclass(frozen=True, slots=True)
class Downsample(Layer):
    """Norm, then a convolution of stride 2."""

    conv: Conv
    norm: Norm

    def out(self, at: Grid) -> Grid:
        return self.conv.out(at)

    def parts(self, at: Grid) -> Parts:
        return chain({"norm": self.norm.over(self.conv.cin), "conv": self.conv}, at)

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.conv(m.norm(x))


@dataclass(frozen=True, slots=True)
class Block(Layer):
    """x = s1 x + mixer(norm(x)), then x = s2 x + mlp(norm(x)), with s learnt or one."""

    mixer: Mixer
    mlp: Operator
    norm: Norm
    res_scale: bool
    drop_path: float = 0.0

    def parts(self, at: Grid) -> Parts:
        scales = (scale(at.c), scale(at.c)) if self.res_scale else ()
        return {
            "norm1": self.norm.over(at.c),
            "mixer": self.mixer,
            "norm2": self.norm.over(at.c),
            "mlp": self.mlp,
            "drop_path": DropPath(self.drop_path),
            **{f"scale{index}": weight for index, weight in enumerate(scales, 1)},
        }

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"add": 2 * at.size, "mul": 2 * at.size * self.res_scale}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        x = self._sum(m, "scale1", x, m.drop_path(m.mixer(m.norm1(x))))
        return self._sum(m, "scale2", x, m.drop_path(m.mlp(m.norm2(x))))

    def _sum(self, m: Bound, name: str, x: Tensor, branch: Tensor) -> Tensor:
        """s x + branch in one pass."""
        return branch.addcmul(x, getattr(m, name)[:, None, None]) if self.res_scale else x + branch
