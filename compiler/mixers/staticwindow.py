"""Swin's windows with learnt weights in place of attention. "Demystifying Local Vision Transformer", arXiv:2106.04263,
Tables 4 and 10 and appendix E.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from pydantic import Field, NonNegativeInt, PositiveInt

from ..errors import Problem
from ..grid import Grid
from ..init import TruncNormal
from ..layer import Parts
from ..mixer import Traits
from ..parts import Linear, Weight
from ..tiling import Tiling
from ._windows import Windowed

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class StaticWindow(Windowed):
    """Every window has a learnt matrix per head, the same for all images; value and output maps stay.

    Left open by the paper, and chosen here: weights start as linear maps do, windows are shifted as Swin's are, and
    nothing is masked where a shifted window wraps around the map.
    """

    notation = "staticwindow"
    window: PositiveInt = Field(7, alias="w", description="side of a window, positions")
    head_channels: PositiveInt = Field(32, alias="Ch", description="channels that share a matrix")
    shared: bool = Field(False, description="one matrix for all windows")
    shift: NonNegativeInt = Field(0, alias="s", description="how far the windows are shifted, positions")
    bias: bool = Field(True, description="biases of the value map and of the output map")
    windows: PositiveInt | None = Field(
        None, description="windows with a matrix of their own; those of the map if left out"
    )

    def settle(self, stage: int, at: Grid) -> Self:
        own = None if self.shared else self.windows or self.tiling(at).count
        return self.model_copy(update={"windows": own})

    def traits(self, at: Grid) -> Traits:
        tiling = self.tiling(at)
        reach = tiling.reach(wraps=True)
        return Traits(tiling.space, "separate", reach, False, self.head_channels, any_size=self.shared)

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from super().check(at)
        tiling = self.tiling(at)
        if self.windows not in (None, tiling.count) and not self.shared:
            hint = "shared=true runs at any size of whole windows"
            yield Problem(
                "MX204", f"matrices for {self.windows} windows, the map has {tiling.count}", hint, ("windows",)
            )

    def parts(self, at: Grid) -> Parts:
        tiling, heads = self.tiling(at), at.c // self.head_channels
        positions = self.window**2 if self.shared else tiling.positions
        own = () if self.shared else (self.windows or tiling.count,)
        return {
            "value": Linear(at.c, at.c, self.bias).on(tiling.padded(at.c)),
            "weight": Weight((*own, heads, positions, positions), init=TruncNormal(0.02)),
            "proj": Linear(at.c, at.c, self.bias).on(tiling.padded(at.c)),
        }

    def macs(self, at: Grid) -> int:
        return self.tiling(at).pairs * at.c

    def kept(self, at: Grid) -> int:
        return self.tiling(at).padded(at.c).size

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        from ..ops import tiles

        heads = x.shape[1] // self.head_channels
        tiling = Tiling.of(x.shape[2], x.shape[3], self.window, self.shift)
        value = tiles.split(m.value(tiles.lay(x, tiling)), tiling, 1, heads)[0]
        weight = self._fitting(m.weight, tiling)
        return tiles.lift(m.proj(tiles.join(self._mixed(weight, value), tiling)), tiling)

    def _mixed(self, weight: Tensor, value: Tensor) -> Tensor:
        """Values (B, windows, heads, positions, channels), mixed by matrices that all images meet together."""
        # not einsum: it multiplies where a window has one position, and no counter sees that
        first = (2, 3, 0, 1, 4) if self.shared else (1, 2, 3, 0, 4)
        together = value.permute(first)
        rows = together.flatten(2 if self.shared else 3).flatten(0, -3)
        mixed = (weight.flatten(0, -3) @ rows).view_as(together)
        return mixed.permute((2, 3, 0, 1, 4) if self.shared else (3, 0, 1, 2, 4))

    def _fitting(self, weight: Tensor, tiling: Tiling) -> Tensor:
        """The weights for these windows: a window cut short by a small map uses the matrix in part."""
        if self.shared:
            rows, columns = tiling.rows.side, tiling.columns.side
            square = weight.unflatten(2, (self.window,) * 2).unflatten(1, (self.window,) * 2)
            return square[:, :rows, :columns, :rows, :columns].flatten(3).flatten(1, 2)
        if len(weight) != tiling.count or weight.shape[-1] != tiling.positions:
            held = f"{len(weight)} windows of {weight.shape[-1]} positions"
            raise ValueError(f"the learnt weights are for {held}, the map has {tiling.count} of {tiling.positions}")
        return weight
