"""Window attention that knows the order of positions by convolution or by static weights instead of a position bias.
"Demystifying Local Vision Transformer", arXiv:2106.04263, appendix B, equations 22 to 25.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from ..errors import Problem
from ..grid import Grid
from ..init import Table, TruncNormal
from ..layer import Parts
from ..mixer import Traits
from ..operator import OddInt
from ..parts import Act, BatchNorm, Conv, Linear, Weight
from ..tiling import Tiling
from ._windows import Windowed

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


def _centre(heads: int, channels: int, height: int, width: int) -> Tensor:
    """Kernels that change nothing."""
    import torch

    kernels = torch.zeros(heads, channels, height, width)
    kernels[:, :, height // 2, width // 2] = 1
    return kernels


class ConvWindow(Windowed):
    """Three ways in which a weight learns where its position stands.

    ``pre`` (equations 24 and 25): queries and keys are read from the map after a depth-wise convolution, BatchNorm and
    ReLU. ``post`` (equation 23): the logits of a window are convolved over its positions, round its edges; which is the
    same as convolving the keys. ``static`` (equation 22): static weights join the predicted ones in front of the
    position, (Theta_d + Theta) x. The paper derives one position of a 1-D window; here every position of a 2-D window
    is one, Theta is a vector per offset and head, and it stands behind the map of the queries, as Theta_d does.
    """

    notation = "ConvWindow"
    order: Literal["pre", "post", "static"] = Field("pre", description="what brings the order of positions in")
    kernel: OddInt = Field(3, alias="k", description="side of the convolution's kernel, positions")
    window: PositiveInt = Field(7, alias="w", description="side of a window, positions")
    head_channels: PositiveInt = Field(32, alias="Ch", description="channels of a head")
    shift: NonNegativeInt = Field(0, alias="s", description="how far the windows are shifted, positions")

    def traits(self, at: Grid) -> Traits:
        tiling = self.tiling(at)
        reach = tiling.reach()
        seen = reach + self.kernel // 2 if reach is not None and self.order == "pre" else reach
        return Traits(tiling.space, "separate", reach, False, self.head_channels, "position", seen)

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from super().check(at)
        tiling = self.tiling(at)
        side = min(tiling.rows.side, tiling.columns.side)
        if self.order == "post" and self.kernel // 2 > side:
            what = f"k={self.kernel} goes round a window of {side} positions more than once"
            yield Problem("MX201", what, f"at most {2 * side + 1}", ("kernel",))

    def parts(self, at: Grid) -> Parts:
        padded, c = self.tiling(at).padded(at.c), at.c
        ends = {
            "query_key": Linear(c, 2 * c, bias=True).on(padded),
            "value": Linear(c, c, bias=True, shared_input=self.order != "pre").on(padded),
            "proj": Linear(c, c, bias=True).on(padded),
        }
        return {**self._order(c), **ends}

    def _order(self, c: int) -> Parts:
        """The parts that bring the order in."""
        if self.order == "pre":
            return {
                "conv": Conv(c, c, self.kernel, groups=c, shared_input=True),
                "norm": BatchNorm(c),
                "act": Act("relu", c),
            }
        if self.order == "post":
            return {"conv": Weight((c // self.head_channels, 1, self.kernel, self.kernel), init=Table(_centre))}
        return {"theta": Weight(((2 * self.window - 1) ** 2, c), init=TruncNormal(0.02))}

    def macs(self, at: Grid) -> int:
        tiling = self.tiling(at)
        order = {"pre": 0, "post": tiling.padded(at.c).size * self.kernel**2, "static": tiling.pairs * at.c}
        return 2 * tiling.pairs * at.c + order[self.order]

    def tally(self, at: Grid) -> Mapping[str, int]:
        tiling = self.tiling(at)
        logits = tiling.pairs * (at.c // self.head_channels)
        return {"softmax": logits, "mask": logits * tiling.shifted, "add": logits * (self.order == "static")}

    def kept(self, at: Grid) -> int:
        tiling = self.tiling(at)
        padded, reach = tiling.padded(at.c).size, self.kernel // 2
        rolled = tiling.count * (tiling.rows.side + 2 * reach) * (tiling.columns.side + 2 * reach) * at.c
        copied = tiling.shifted or padded > at.size  # so that the convolution's input and the ReLU's output stay too
        order = {"pre": 2 * at.size * copied, "post": rolled + padded, "static": tiling.positions**2 * at.c}
        return 3 * padded + tiling.pairs * (at.c // self.head_channels) + order[self.order]

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        from ..ops import tiles

        heads = x.shape[1] // self.head_channels
        tiling = Tiling.of(x.shape[2], x.shape[3], self.window, self.shift)
        laid = tiles.lay(x, tiling)
        source = tiles.lay(m.act(m.norm(m.conv(x))), tiling) if self.order == "pre" else laid
        q, k = tiles.split(m.query_key(source), tiling, 2, heads).unbind(0)
        (v,) = tiles.split(m.value(laid), tiling, 1, heads)
        logits = self._logits(m, q, k, tiling) * self.head_channels**-0.5
        weights = (logits + tiles.shift_mask(tiling, q) if tiling.shifted else logits).softmax(-1)
        return tiles.lift(m.proj(tiles.join(weights.to(v.dtype) @ v, tiling)), tiling)

    def _logits(self, m: Bound, q: Tensor, k: Tensor, tiling: Tiling) -> Tensor:
        """(B, windows, heads, positions, positions) from queries and keys (B, windows, heads, positions, d)."""
        from ..ops import tiles

        if self.order == "post":
            k = self._convolved(m.conv, k, tiling)
        logits = q @ k.transpose(-1, -2)
        if self.order == "static":
            theta = tiles.position_bias(m.theta, self.window, tiling).unflatten(0, (q.shape[2], -1))
            # by head and position, images and windows together; einsum would multiply where a window has one position
            rows = q.permute(2, 3, 0, 1, 4)
            static = rows.flatten(2, 3) @ theta.transpose(1, 2)
            logits = logits + static.unflatten(2, rows.shape[2:4]).permute(2, 3, 0, 1, 4)
        return logits

    def _convolved(self, kernels: Tensor, k: Tensor, tiling: Tiling) -> Tensor:
        """Keys mixed over the positions of their window, round its edges; one kernel for each head."""
        from torch.nn.functional import conv2d, pad

        rows, columns, reach = tiling.rows.side, tiling.columns.side, self.kernel // 2
        maps = k.transpose(-1, -2).reshape(-1, k.shape[2] * k.shape[4], rows, columns)
        ring = pad(maps, (reach,) * 4, mode="circular")
        mixed = conv2d(ring, kernels.repeat_interleave(k.shape[4], 0), groups=maps.shape[1])
        return mixed.reshape(*k.shape[:3], k.shape[4], -1).transpose(-1, -2)
