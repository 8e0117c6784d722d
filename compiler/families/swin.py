"""Swin's frame with any mixer, and the local-ViT paper's depth-wise networks in it. arXiv:2103.14030, section 3.1;
"Demystifying Local Vision Transformer", arXiv:2106.04263, Table 7.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeInt

from ..errors import Problem
from ..family import Family
from ..grid import Grid
from ..head import Head
from ..heads import registry as known_heads
from ..heads.prenorm import PreNormHead
from ..init import Init
from ..layer import Layer, Parts, Sequence
from ..mixer import Mixer
from ..mixers import registry as known_mixers
from ..mixers.identity import IdentityMixer
from ..mixers.se import SqueezeExcitation
from ..mlps import registry as known_mlps
from ..mlps.mlp import Mlp
from ..norm import Norm
from ..norms import registry as known_norms
from ..norms.batchnorm import BatchNorm
from ..norms.layernorm import LayerNorm
from ..operator import Operator
from ..parts import Conv, DropPath, Linear
from ._fields import BlockMixers, Depths, Dims, Mixers, Sizes, sized
from ._frames import Branch, LinearOrConv, conv_frame
from ._stage import Stage

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound

SIZES: Sizes = {
    "t": ((2, 2, 6, 2), (96, 192, 384, 768)),
    "s": ((2, 2, 18, 2), (96, 192, 384, 768)),
    "b": ((2, 2, 18, 2), (128, 256, 512, 1024)),
}
_LAYER_NORM = LayerNorm(eps=1e-5)


def _block_norm(data: Mapping[str, Any]) -> Norm:
    return BatchNorm() if data.get("block") == "conv" else _LAYER_NORM


class Swin(Family):
    """Four stages of residual blocks: mix positions, mix channels. Patches of 4x4, merged two by two between stages."""

    notation = "swin"
    init: ClassVar[Init] = LinearOrConv()

    size: Literal["t", "s", "b"] | None = Field(None, description="a named size: depths and dims")
    depths: Depths = Field(default_factory=sized(SIZES, 0))
    dims: Dims = Field(default_factory=sized(SIZES, 1))
    mixers: Mixers
    blocks: BlockMixers = ()
    block: Literal["transformer", "conv"] = Field(
        "transformer",
        description="transformer: norm, mixer; conv: the mixer between two 1x1 convolutions, norms, ReLUs",
    )
    norm: Annotated[Norm, known_norms] = Field(default_factory=_block_norm, description="norm inside the blocks")
    mlp: Annotated[Operator, known_mlps] = Field(Mlp(), description="channel MLP")
    extra: Annotated[Mixer, known_mixers] = Field(
        IdentityMixer(), description="a second mixer with its own residual in front of the MLP; identity leaves it out"
    )
    se: NonNegativeInt = Field(
        0, description="reduction of squeeze-and-excitation after the (second) mixer; 0 leaves it out"
    )
    head: Annotated[Head, known_heads] = Field(PreNormHead(), description="from the last map to classes")

    def check(self, at: Grid) -> Iterator[Problem]:
        if not self.depths or not self.dims:
            yield Problem(
                "MX103", "depths and dims are missing", "size: t, or depths: [2, 2, 6, 2] and dims: [96, 192, 384, 768]"
            )
        elif len(self.depths) != len(self.dims):
            what = f"{len(self.depths)} depths and {len(self.dims)} dims"
            yield Problem("MX204", what, "one of each for every stage", ("dims",))
        else:
            yield from self._beside(at)

    def _beside(self, at: Grid) -> Iterator[Problem]:
        """What is wrong with the second mixer and squeeze-and-excitation, under their own keys."""
        gate = SqueezeExcitation(reduction=self.se) if self.se else IdentityMixer()
        for stage, grid in enumerate(self.mixer_grids(at), 1):
            for problem in self.extra.check(grid):
                yield replace(problem.under("extra"), what=f"stage {stage}: {problem.what}")
            for problem in gate.check(grid):
                what = f"stage {stage}: se={self.se} does not divide {grid.c} channels"
                yield replace(problem, what=what, where=("se",))

    def stem(self) -> Layer:
        return PatchEmbed(self.in_chans, self.dims[0])

    def downsample(self, index: int) -> Layer | None:
        return Merge(self.dims[index - 1], self.dims[index]) if index else None

    def stage(self, index: int) -> Layer:
        blocks = tuple(self._block(index, number, rate) for number, rate in enumerate(self.stage_rates(index)))
        return Stage(self.downsample(index), Sequence(blocks))

    def _block(self, stage: int, number: int, drop_path: float) -> Layer:
        mixer, c = self.mixer(stage, number), self.dims[stage]
        mixer = _shifted(mixer) if number % 2 else mixer
        gate = {"se": SqueezeExcitation(reduction=self.se)} if self.se else {}
        last = isinstance(self.extra, IdentityMixer)
        plain = {"norm": self.norm.over(c), "mixer": mixer}
        spatial = conv_frame(mixer, self.norm, c) if self.block == "conv" else plain
        branches: dict[str, dict[str, Layer]] = {"spatial": {**spatial, **(gate if last else {})}}
        if not last:
            branches["extra"] = {"mixer": self.extra, "norm": self.norm.over(c), **gate}
        branches["channel"] = {"norm": self.norm.over(c), "mlp": self.mlp}
        return Block(tuple((name, Branch(tuple(layers.items()))) for name, layers in branches.items()), drop_path)

    def head_layer(self) -> Head:
        return self.head


def _shifted(mixer: Mixer) -> Mixer:
    """Every second block's mixer: windows, unless a spec shifts them itself, are shifted by half."""
    window, shift = getattr(mixer, "window", None), getattr(mixer, "shift", None)
    return mixer.model_copy(update={"shift": window // 2}) if window and shift == 0 else mixer


@dataclass(frozen=True, slots=True)
class PatchEmbed(Layer):
    """Patches of 4x4 pixels, each mapped to ``cout`` channels, and LayerNorm; the image is padded to whole patches."""

    cin: int
    cout: int

    def out(self, at: Grid) -> Grid:
        return at.strided(4).to(self.cout)

    def parts(self, at: Grid) -> Parts:
        patches = self.out(at)
        whole = Grid(4 * patches.h, 4 * patches.w, self.cin)
        return {
            "conv": Conv(self.cin, self.cout, 4, 4, padding=0, bias=True).on(whole),
            "norm": _LAYER_NORM.over(self.cout).on(patches),
        }

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        from ..ops.tiles import whole

        return m.norm(m.conv(whole(x, 4)))


@dataclass(frozen=True, slots=True)
class Merge(Layer):
    """Patch merging: the channels of 2x2 neighbours, column by column, LayerNorm, a linear map without bias."""

    cin: int
    cout: int

    def out(self, at: Grid) -> Grid:
        return at.strided(2).to(self.cout)

    def parts(self, at: Grid) -> Parts:
        joined = self.out(at).to(4 * self.cin)
        return {
            "norm": _LAYER_NORM.over(joined.c).on(joined),
            "reduction": Linear(joined.c, self.cout).on(joined),
        }

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        from ..ops.tiles import neighbours

        return m.reduction(m.norm(neighbours(x)))


@dataclass(frozen=True, slots=True)
class Block(Layer):
    """x + branch(x), branch after branch."""

    branches: tuple[tuple[str, Branch], ...]
    drop_path: float = 0.0

    def parts(self, at: Grid) -> Parts:
        return {**dict(self.branches), "drop_path": DropPath(self.drop_path)}

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"add": len(self.branches) * at.size}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        for name, _ in self.branches:
            x = x + m.drop_path(getattr(m, name)(x))
        return x
