"""One width and one grid of patches from front to back: ViT and DeiT (arXiv:2010.11929, arXiv:2012.12877), MLP-Mixer
(arXiv:2105.01601), ResMLP (arXiv:2105.03404), gMLP (arXiv:2105.08050).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt

from ..errors import Problem
from ..family import Family
from ..grid import Grid
from ..head import Head
from ..heads.classtoken import FirstPosition
from ..init import Constant, Init, TruncNormal
from ..layer import Layer, Modules, Parts, Sequence, chain
from ..mixer import Mixer
from ..mixers.attention import Attention
from ..mlps import registry as known_mlps
from ..mlps.mlp import Mlp
from ..norm import Norm
from ..norms import registry as known_norms
from ..norms.layernorm import LayerNorm
from ..operator import Operator
from ..parts import Conv, DropPath, GlobalPool, Weight
from ._fields import Depths, Mixers, everywhere
from ._frames import added
from ._stage import Stage
from ._tokens import TokenBlock, TokenStage, refuses_tokens

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..bound import Bound


class Isotropic(Family):
    """Patches, an optional position embedding, blocks ``x + mixer(norm(x))``, ``x + mlp(norm(x))``, and a mean or a
    class token. ``depths`` has one number, or several where mixers change on the way.
    """

    notation = "isotropic"
    also = ("ViT", "DeiT", "MLP-Mixer", "gMLP", "ResMLP")
    init: ClassVar[Init] = TruncNormal(0.02)
    levels: ClassVar[Literal["stages", "blocks"]] = "blocks"

    depths: Depths = Field((12,), min_length=1, description="blocks, split where mixers change")
    width: PositiveInt = Field(384, description="channels")
    mixers: Mixers = Field(default_factory=everywhere(Attention(head_channels=64, bias=True)))
    mlp: Annotated[Operator, known_mlps] | None = Field(Mlp(), description="channel MLP; null leaves it out")
    norm: Annotated[Norm, known_norms] = Field(LayerNorm(), description="norm in front of mixers, MLPs and the head")
    patch: PositiveInt = Field(16, description="side of a patch, pixels")
    position: bool = Field(True, description="learn an embedding of every position; the image size is fixed")
    position_grid: tuple[PositiveInt, PositiveInt] | None = Field(
        None, description="rows and columns of the embedded positions; those of the image if left out"
    )
    class_token: bool = Field(True, description="a class token in the last stage; else the mean over positions is read")
    layer_scale: PositiveFloat | None = Field(
        None, description="start of a learnt factor per channel at the end of every branch; none if left out"
    )

    def check(self, at: Grid) -> Iterator[Problem]:
        if at.h % self.patch or at.w % self.patch:
            what = f"patch={self.patch} does not divide an image of {at.h}x{at.w} pixels"
            yield Problem("MX203", what, "patches fill the image", ("patch",))
        if self.class_token:
            yield from refuses_tokens(self.mixers[-1], self.mlp, len(self.depths) - 1, ("mlp",))
            if self.layer_scale:
                yield Problem("MX102", "layer_scale goes with no class token", "class_token: false", ("layer_scale",))

    def settle(self, stage: int, at: Grid) -> Self:
        settled = super().settle(stage, at)
        grid = self._patches.out(at)
        return (
            settled.model_copy(update={"position_grid": self.position_grid or (grid.h, grid.w)})
            if self.position
            else settled
        )

    @property
    def _patches(self) -> Conv:
        return Conv(self.in_chans, self.width, self.patch, self.patch, padding=0, bias=True)

    def stem(self) -> Layer:
        return Patches(self._patches, self.position_grid if self.position else None)

    def stage(self, index: int) -> Layer:
        mixer, rates = self.mixers[index], self.stage_rates(index)
        if self.class_token and index == len(self.depths) - 1 and self.mlp:
            blocks = tuple(TokenBlock(mixer, self.mlp, self.norm, rate) for rate in rates)
            return TokenStage(None, blocks, position=self.position)
        return Stage(None, Sequence(tuple(Block(mixer, self.mlp, self.norm, self.layer_scale, rate) for rate in rates)))

    def head_layer(self) -> Head:
        return IsotropicHead(norm=self.norm, read="token" if self.class_token else "mean")

    def module(self, at: Grid, children: Modules) -> nn.Module:
        from ..backbone import Backbone, TokenBackbone

        return (TokenBackbone if self.class_token else Backbone)(self, at, children)


@dataclass(frozen=True, slots=True)
class Patches(Layer):
    """Every patch as one position, and an embedding of where it lies."""

    conv: Conv
    positions: tuple[int, int] | None

    def out(self, at: Grid) -> Grid:
        return self.conv.out(at)

    def check(self, at: Grid) -> Iterator[Problem]:
        grid = self.out(at)
        if self.positions and self.positions != (grid.h, grid.w):
            rows, columns = self.positions
            what = f"an embedding of {rows}x{columns} positions, the map has {grid.h}x{grid.w}"
            yield Problem("MX204", what, "position: false, or the image size it was learnt on", ("position_grid",))

    def parts(self, at: Grid) -> Parts:
        if not self.positions:
            return {"conv": self.conv}
        return {
            "conv": self.conv,
            "position": Weight((self.conv.cout, *self.positions), TruncNormal(0.02), decay=False),
        }

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"table": self.out(at).size if self.positions else 0}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.conv(x) + m.position if self.positions else m.conv(x)


@dataclass(frozen=True, slots=True)
class Block(Layer):
    """x + s1 mixer(norm(x)), then x + s2 mlp(norm(x)); both the factors and the MLP may be left out."""

    mixer: Mixer
    mlp: Operator | None
    norm: Norm
    layer_scale: float | None
    drop_path: float = 0.0

    def _branches(self) -> dict[str, Layer]:
        return {"mixer": self.mixer, "mlp": self.mlp} if self.mlp else {"mixer": self.mixer}

    def parts(self, at: Grid) -> Parts:
        parts: dict[str, Layer] = {}
        for number, (name, branch) in enumerate(self._branches().items(), 1):
            parts |= {f"norm{number}": self.norm.over(at.c), name: branch}
            if self.layer_scale:
                parts[f"scale{number}"] = Weight((at.c,), Constant(self.layer_scale), decay=False)
        return {**parts, "drop_path": DropPath(self.drop_path)}

    def tally(self, at: Grid) -> Mapping[str, int]:
        size = len(self._branches()) * at.size
        return {"add": size, "mul": size if self.layer_scale else 0}

    def kept(self, at: Grid) -> int:
        return len(self._branches()) * at.size if self.layer_scale else 0

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        for number, name in enumerate(self._branches(), 1):
            y = getattr(m, name)(getattr(m, f"norm{number}")(x))
            x = added(m, x, y, getattr(m, f"scale{number}") if self.layer_scale else None)
        return x


class IsotropicHead(Head):
    """A norm, and the class token or the mean over positions."""

    notation = "isotropic"
    norm: Norm = Field(description="the norm")
    read: Literal["token", "mean"] = Field(description="what the classifier reads")

    def parts(self, at: Grid) -> Parts:
        if self.read == "mean":
            return chain({"norm": self.norm.over(at.c), "pool": GlobalPool()}, at)
        return chain({"pool": FirstPosition(), "norm": self.norm.over(at.c)}, at)

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.pool(m.norm(x)) if self.read == "mean" else m.norm(m.pool(x))
