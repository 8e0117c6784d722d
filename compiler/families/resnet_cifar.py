"""ResNet for images of 32 pixels: three stages of basic blocks, shortcuts without weights. arXiv:1512.03385, section
4.2; its first layers exchangeable, as in arXiv:2110.15644.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, PositiveInt

from ..errors import Problem
from ..family import Family
from ..grid import Grid
from ..head import Head
from ..heads import registry as known_heads
from ..heads.linear import LinearHead
from ..init import Init, KaimingNormal
from ..layer import Layer, Parts, Sequence, chain
from ..mixer import Mixer
from ..mixers import registry as known_mixers
from ..mixers.conv import Conv as ConvMixer
from ..parts import Act, BatchNorm, Conv, DropPath
from ._convs import Unit, cannot_widen, widened
from ._fields import Depths, Mixers, everywhere
from ._stage import Stage

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class ResNetCifar(Family):
    """Basic blocks ``relu(x + mixer(relu(mixer(x))))`` with batch norms; the map halves and the width doubles by stage.

    ``mixers`` are the convolutions that keep the shape; the one that halves the map is a plain 3x3 convolution.
    """

    notation = "resnet_cifar"
    init: ClassVar[Init] = KaimingNormal()

    depths: Depths = (3, 3, 3)
    width: PositiveInt = Field(16, description="channels of the first stage; they double with every stage")
    mixers: Mixers = Field(
        default_factory=everywhere(ConvMixer()),
        description="convolutions of each stage",
    )
    first: tuple[Annotated[Mixer, known_mixers], ...] = Field(
        (ConvMixer(),), min_length=1, description="layers in front of the first stage, each with batch norm and ReLU"
    )
    head: Annotated[Head, known_heads] = Field(LinearHead(), description="from the last map to classes")

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from cannot_widen(self.first[0], "first", 0)

    def stem(self) -> Layer:
        c = self.width
        return Sequence(
            (Unit(widened(self.first[0], self.in_chans, c), c), *(Unit(mixer, c) for mixer in self.first[1:]))
        )

    def stage(self, index: int) -> Layer:
        c, mixer, rates = self.width << index, self.mixers[index], self.stage_rates(index)
        blocks = [BasicBlock(mixer, mixer, c, c, rate) for rate in rates]
        if index > 0:
            blocks[0] = BasicBlock(Conv(c // 2, c, 3, 2), mixer, c // 2, c, rates[0])
        return Stage(None, Sequence(tuple(blocks)))

    def mixer_grids(self, at: Grid) -> tuple[Grid, ...]:
        grids = [self.stem().out(at)]
        for stage in self.stages():
            grids.append(stage.out(grids[-1]))
        return tuple(grids[1:])

    def head_layer(self) -> Head:
        return self.head


@dataclass(frozen=True, slots=True)
class BasicBlock(Layer):
    """Two 3x3 layers and a shortcut; where the first halves the map, the shortcut skips positions and fills the missing
    channels with zeros (option A).
    """

    first: Layer
    second: Layer
    cin: int
    cout: int
    drop_path: float = 0.0

    def out(self, at: Grid) -> Grid:
        return self.first.out(at)

    def parts(self, at: Grid) -> Parts:
        branch = {"conv1": self.first, "norm1": BatchNorm(self.cout), "act1": Act("relu", self.cout)}
        end = {"conv2": self.second, "norm2": BatchNorm(self.cout), "drop_path": DropPath(self.drop_path)}
        return chain({**branch, **end, "act2": Act("relu", self.cout)}, at)

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"add": self.out(at).size}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        y = m.norm2(m.conv2(m.act1(m.norm1(m.conv1(x)))))
        return m.act2(m.drop_path(y) + self._shortcut(x))

    def _shortcut(self, x: Tensor) -> Tensor:
        from torch.nn.functional import pad

        if self.cin == self.cout:
            return x
        missing = self.cout - self.cin
        return pad(x[..., ::2, ::2], (0, 0, 0, 0, missing // 2, missing - missing // 2))
