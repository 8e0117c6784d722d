"""VGG with batch norm and one linear map behind it, as CIFAR-10 has it. arXiv:1409.1556; the first convolution
exchangeable, as in arXiv:2110.15644.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ..errors import Problem
from ..family import Family
from ..grid import Grid
from ..head import Head
from ..heads import registry as known_heads
from ..heads.linear import LinearHead
from ..init import Init, KaimingNormal
from ..layer import Layer, Sequence
from ..mixer import Mixer
from ..mixers import registry as known_mixers
from ..mixers.conv import Conv as ConvMixer
from ..parts import Identity
from ._convs import Unit, cannot_widen, widened
from ._fields import Depths, Dims, Mixers, everywhere
from ._stage import Stage

SIZES: dict[int, tuple[int, ...]] = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
CONV = ConvMixer(bias=True)


class VGG(Family):
    """Stages of convolutions, each with batch norm and ReLU; max pooling ends every stage.

    The first convolution of a stage widens the map; ``mixers`` are the others.
    """

    notation = "vgg"
    init: ClassVar[Init] = KaimingNormal()

    size: Literal[11, 13, 16, 19] = Field(16, description="layers with weights, as the paper counts them; sets depths")
    depths: Depths = Field(
        default_factory=lambda data: SIZES[data.get("size", 16)], description="convolutions of each stage"
    )
    dims: Dims = (64, 128, 256, 512, 512)
    mixers: Mixers = Field(default_factory=everywhere(CONV), description="convolutions of each stage")
    first: Annotated[Mixer, known_mixers] = Field(CONV, description="the convolution that reads the image")
    head: Annotated[Head, known_heads] = Field(LinearHead(), description="from the last map to classes")

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from cannot_widen(self.first, "first")
        if len(self.depths) != len(self.dims):
            what = f"{len(self.depths)} depths and {len(self.dims)} dims"
            yield Problem("MX204", what, "one of each for every stage", ("dims",))

    def stem(self) -> Layer:
        return Identity()

    def stage(self, index: int) -> Layer:
        c, last = self.dims[index], self.depths[index] - 1
        blocks = tuple(Unit(self._conv(index, number), c, pool=number == last) for number in range(last + 1))
        return Stage(None, Sequence(blocks))

    def _conv(self, index: int, number: int) -> Layer:
        if number > 0:
            return self.mixers[index]
        if index == 0:
            return widened(self.first, self.in_chans, self.dims[0])
        return widened(CONV, self.dims[index - 1], self.dims[index])

    def mixer_grids(self, at: Grid) -> tuple[Grid, ...]:
        return tuple(Grid(at.h >> index, at.w >> index, c) for index, c in enumerate(self.dims))

    def head_layer(self) -> Head:
        return self.head
