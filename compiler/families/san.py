"""SAN: a ResNet without spatial convolutions, five stages of pre-activation blocks. arXiv:2004.13621, section 4."""

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
from ..heads.linear import LinearHead
from ..init import Init, TorchDefault
from ..layer import Layer, Parts, Sequence, chain
from ..mixer import Mixer
from ..mixers.san import PatchwiseAttention
from ..parts import Act, BatchNorm, Conv, DropPath, Pool
from ._fields import Depths, Dims, Mixers
from ._stage import Stage

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound

_POOL = Pool("max", 2, 2, padding=0)
SIZES: dict[int, tuple[int, ...]] = {10: (2, 1, 2, 4, 1), 15: (3, 2, 3, 5, 2), 19: (3, 3, 4, 6, 3)}


def _mixers(stages: int) -> tuple[Mixer, ...]:
    """A small neighbourhood on the largest map, a large one behind it."""
    return tuple(PatchwiseAttention(kernel=7 if stage else 3) for stage in range(stages))


class SAN(Family):
    """Blocks ``x + mixer(relu(norm(x)))``; max pooling and a 1x1 convolution stand in front of every stage.

    Weights start as torch has them, as in the released code (github.com/hszhao/SAN): larger ones let a fresh network,
    whose blocks multiply predictions with their input, grow without bound.
    """

    notation = "san"
    init: ClassVar[Init] = TorchDefault()

    size: Literal[10, 15, 19] = Field(19, description="blocks of the paper's networks; sets depths")
    depths: Depths = Field(default_factory=lambda data: SIZES[data.get("size", 19)])
    dims: Dims = (64, 256, 512, 1024, 2048)
    mixers: Mixers = Field(default_factory=lambda data: _mixers(len(data.get("depths", ()))))
    head: Annotated[Head, known_heads] = Field(LinearHead(), description="from the last map to classes")

    def check(self, at: Grid) -> Iterator[Problem]:
        if len(self.depths) != len(self.dims):
            what = f"{len(self.depths)} depths and {len(self.dims)} dims"
            yield Problem("MX204", what, "one of each for every stage", ("dims",))

    def stem(self) -> Layer:
        return Unit(Conv(self.in_chans, self.dims[0], 1))

    def downsample(self, index: int) -> Layer | None:
        return Downsample(Conv(self.dims[max(index - 1, 0)], self.dims[index], 1))

    def stage(self, index: int) -> Layer:
        blocks = tuple(Block(self.mixers[index], rate) for rate in self.stage_rates(index))
        return Stage(self.downsample(index), Sequence((*blocks, End(self.dims[index]))))

    def head_layer(self) -> Head:
        return self.head


@dataclass(frozen=True, slots=True)
class Unit(Layer):
    """A convolution, batch norm and ReLU."""

    conv: Conv

    def out(self, at: Grid) -> Grid:
        return self.conv.out(at)

    def parts(self, at: Grid) -> Parts:
        c = self.conv.cout
        return chain({"conv": self.conv, "norm": BatchNorm(c), "act": Act("relu", c)}, at)

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.act(m.norm(m.conv(x)))


@dataclass(frozen=True, slots=True)
class Downsample(Layer):
    """2x2 max pooling, and a convolution to the stage's width."""

    conv: Conv

    def out(self, at: Grid) -> Grid:
        return self.conv.out(_POOL.out(at))

    def parts(self, at: Grid) -> Parts:
        return chain({"pool": _POOL, "conv": self.conv}, at)

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.conv(m.pool(x))


@dataclass(frozen=True, slots=True)
class Block(Layer):
    """x + mixer(relu(norm(x)))."""

    mixer: Mixer
    drop_path: float = 0.0

    def parts(self, at: Grid) -> Parts:
        return {
            "norm": BatchNorm(at.c),
            "act": Act("relu", at.c),
            "mixer": self.mixer,
            "drop_path": DropPath(self.drop_path),
        }

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"add": at.size}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return x + m.drop_path(m.mixer(m.act(m.norm(x))))


@dataclass(frozen=True, slots=True)
class End(Layer):
    """Batch norm and ReLU behind the last block of a stage."""

    c: int

    def parts(self, at: Grid) -> Parts:
        return {"norm": BatchNorm(self.c), "act": Act("relu", self.c)}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.act(m.norm(x))
