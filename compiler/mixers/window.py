"""Swin's attention in windows with a relative position bias. arXiv:2103.14030, section 3; "Demystifying Local Vision
Transformer", arXiv:2106.04263, section 2.3, reads it as a locally connected layer with dynamic weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from ..errors import Problem
from ..grid import Grid
from ..init import TruncNormal
from ..layer import Parts
from ..mixer import Mixer, Traits, divides
from ..parts import Linear, Weight
from ..tiling import Tiling

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class Window(Mixer):
    """softmax(q k / sqrt(head width) + bias) v among the positions of a window.

    The map is padded with zeros to whole windows. Shifted windows wrap around the map; positions that are no neighbours
    are masked. A map no larger than the window is one window.
    """

    notation = "window"
    window: PositiveInt = Field(7, alias="w", description="side of a window, positions")
    head_channels: PositiveInt = Field(32, alias="Ch", description="channels of a head")
    shift: NonNegativeInt = Field(0, alias="s", description="how far the windows are shifted, positions")
    qkv_bias: bool = Field(True, description="bias of the q, k, v map")
    proj_bias: bool = Field(True, description="bias of the output map")
    table: bool = Field(True, description="learn a bias for every offset between two positions")

    def tiling(self, at: Grid) -> Tiling:
        return Tiling.of(at.h, at.w, self.window, self.shift)

    def traits(self, at: Grid) -> Traits:
        tiling = self.tiling(at)
        space: Literal["blocks", "dense"] = "dense" if tiling.count == 1 else "blocks"
        reach = tiling.reach()
        return Traits(space, "separate", reach, False, self.head_channels, "position", reach)

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from divides(self, "head_channels", at.c)
        if self.shift >= self.window:
            hint = f"less than w={self.window}; Swin takes half of it"
            yield Problem("MX203", f"s={self.shift} shifts by a window or more", hint, ("shift",))

    def parts(self, at: Grid) -> Parts:
        padded, heads = self.tiling(at).padded(at.c), at.c // self.head_channels
        offsets = Weight(((2 * self.window - 1) ** 2, heads), init=TruncNormal(0.02), decay=False)
        return {
            "qkv": Linear(at.c, 3 * at.c, self.qkv_bias).on(padded),
            **({"table": offsets} if self.table else {}),
            "proj": Linear(at.c, at.c, self.proj_bias).on(padded),
        }

    def macs(self, at: Grid) -> int:
        return 2 * self.tiling(at).pairs * at.c

    def tally(self, at: Grid) -> Mapping[str, int]:
        tiling = self.tiling(at)
        logits = tiling.pairs * (at.c // self.head_channels)
        return {"softmax": logits, "table": logits * self.table, "mask": logits * tiling.shifted}

    def kept(self, at: Grid) -> int:
        # q, k, v and the weights; the result is the output map's input
        tiling = self.tiling(at)
        return 3 * tiling.padded(at.c).size + tiling.pairs * (at.c // self.head_channels)

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        from ..ops import tiles

        c = x.shape[1]
        tiling = Tiling.of(x.shape[2], x.shape[3], self.window, self.shift)
        q, k, v = tiles.split(m.qkv(tiles.lay(x, tiling)), tiling, 3, c // self.head_channels).unbind(0)
        weights = self.logits(m, q, k, tiling).softmax(-1)
        return tiles.lift(m.proj(tiles.join(weights.to(v.dtype) @ v, tiling)), tiling)

    def logits(self, m: Bound, q: Tensor, k: Tensor, tiling: Tiling) -> Tensor:
        """(B, windows, heads, positions, positions) from queries and keys (B, windows, heads, positions, d)."""
        import torch

        from ..ops import tiles

        scores, scale = q @ k.transpose(-1, -2), self.head_channels**-0.5
        bias = tiles.position_bias(m.table, self.window, tiling) if self.table else None
        if tiling.shifted:
            mask = tiles.shift_mask(tiling, q)
            bias = mask if bias is None else bias + mask
        return scores * scale if bias is None else torch.add(bias, scores, alpha=scale)
