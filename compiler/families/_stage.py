"""What most families' stages are: blocks, behind a layer that makes the map smaller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..grid import Grid
from ..layer import Layer, Parts, Sequence, chain

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


@dataclass(frozen=True, slots=True)
class Stage(Layer):
    """Downsampling, where the stage has one of its own, and blocks."""

    downsample: Layer | None
    blocks: Sequence

    def out(self, at: Grid) -> Grid:
        return self.blocks.out(self.downsample.out(at) if self.downsample else at)

    def parts(self, at: Grid) -> Parts:
        before: dict[str, Layer] = {"downsample": self.downsample} if self.downsample else {}
        return chain({**before, "blocks": self.blocks}, at)

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.blocks(m.downsample(x) if self.downsample else x)
