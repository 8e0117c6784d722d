"""Swin's attention in windows with a relative position bias. arXiv:2103.14030, section 3; "Demystifying Local Vision
Transformer", arXiv:2106.04263, section 2.3, reads it as a locally connected layer with dynamic weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field, NonNegativeInt, PositiveInt

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


class Window(Windowed):
    """softmax(q k / sqrt(head width) + bias) v among the positions of a window.

    The map is padded with zeros to whole windows. Shifted windows wrap around the map; positions that are no neighbours
    are masked. A map no larger than the window is one window.
    """

    notation = "window"
    also = ("W-MSA", "window-attention")
    window: PositiveInt = Field(7, alias="w", description="side of a window, positions")
    head_channels: PositiveInt = Field(32, alias="Ch", description="channels of a head")
    shift: NonNegativeInt = Field(0, alias="s", description="how far the windows are shifted, positions")
    qkv_bias: bool = Field(True, description="bias of the q, k, v map")
    proj_bias: bool = Field(True, description="bias of the output map")
    table: bool = Field(True, description="learn a bias for every offset between two positions")

    def traits(self, at: Grid) -> Traits:
        tiling = self.tiling(at)
        reach = tiling.reach()
        return Traits(tiling.space, "separate", reach, False, self.head_channels, "position", reach)

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
        from ..layout import tuned
        from ..ops import attend, tiles

        c = x.shape[1]
        tiling = Tiling.of(x.shape[2], x.shape[3], self.window, self.shift)
        if attend.fits(x, tiling):
            table = m.table if self.table else None
            y = attend.attend(m.qkv(tiles.padded(x, tiling)), tiling, self.head_channels, table)
            return tiles.unpadded(m.proj(y), tiling)
        if tuned(x):
            return self._one_by_one(m, x, tiling)
        q, k, v = tiles.split(m.qkv(tiles.lay(x, tiling)), tiling, 3, c // self.head_channels).unbind(0)
        return tiles.lift(m.proj(tiles.join(self._mixed(m, q, k, v, tiling), tiling)), tiling)

    def _one_by_one(self, m: Bound, x: Tensor, tiling: Tiling) -> Tensor:
        """The same where windows are maps of their own, which takes fewer copies."""
        from ..layout import differentiated
        from ..ops import tiles

        qkv = m.qkv(tiles.cut(x, tiling))
        heads = qkv.flatten(2).unflatten(1, (3, -1, self.head_channels)).transpose(-1, -2)
        if differentiated(x, *m.parameters()):
            q, k, v = heads.unflatten(0, (-1, tiling.count)).unbind(2)
            y = self._mixed(m, q, k, v, tiling).flatten(0, 1)
        else:
            y = self._fused(m, heads, tiling)
        return tiles.sew(m.proj(y.transpose(-1, -2).flatten(1, 2).unflatten(2, qkv.shape[2:])), tiling)

    def _mixed(self, m: Bound, q: Tensor, k: Tensor, v: Tensor, tiling: Tiling) -> Tensor:
        """Values mixed in every window; all are (B, windows, heads, positions, d)."""
        weights = self.logits(m, q, k, tiling).softmax(-1)
        return weights.to(v.dtype) @ v

    def _fused(self, m: Bound, heads: Tensor, tiling: Tiling) -> Tensor:
        """Values (B * windows, heads, positions, d) mixed without writing the weights to memory, from queries, keys and
        values (B * windows, 3, heads, positions, d). Its backward would be slower, and has none for the table.
        """
        import torch
        from torch.nn.functional import scaled_dot_product_attention

        bias = self._bias(m, tiling, heads)
        if not tiling.shifted:
            q, k, v = heads.unbind(1)
            return scaled_dot_product_attention(q, k, v, attn_mask=None if bias is None else bias[None])
        mixed = []
        for image in heads.split(tiling.count):  # one by one, since the mask of all windows serves each as it is
            q, k, v = image.unbind(1)
            mixed.append(scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2))
        return torch.cat(mixed).transpose(1, 2)

    def _bias(self, m: Bound, tiling: Tiling, like: Tensor) -> Tensor | None:
        """What is added to the logits: (windows or 1, heads, positions, positions) or, of one window's, without the
        first axis; None if there is nothing.
        """
        from ..ops import tiles

        bias = tiles.position_bias(m.table, self.window, tiling) if self.table else None
        if not tiling.shifted:
            return bias
        mask = tiles.shift_mask(tiling, like)
        return mask if bias is None else bias + mask

    def logits(self, m: Bound, q: Tensor, k: Tensor, tiling: Tiling) -> Tensor:
        """(B, windows, heads, positions, positions) from queries and keys (B, windows, heads, positions, d)."""
        import torch

        scores, scale, bias = q @ k.transpose(-1, -2), self.head_channels**-0.5, self._bias(m, tiling, q)
        return scores * scale if bias is None else torch.add(bias, scores, alpha=scale)
