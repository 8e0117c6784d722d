"""Maps cut into windows and put together again, and what shifted windows need. arXiv:2103.14030, section 3."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..tiling import Axis, Tiling

MASKED = -1000.0
"""Added to the logits of positions that meet only because the map was rolled. The softmax makes exactly zero of it; of
Swin's -100 it makes subnormal numbers, with which CPUs compute several times slower."""


def padded(x: Tensor, tiling: Tiling) -> Tensor:
    """(B, C, H, W) with zeros below and on the right, to whole windows."""
    rows, columns = tiling.rows, tiling.columns
    if rows.padded > rows.size or columns.padded > columns.size:
        return pad(x, (0, columns.padded - columns.size, 0, rows.padded - rows.size))
    return x


def unpadded(x: Tensor, tiling: Tiling) -> Tensor:
    """The inverse of :func:`padded`."""
    return x[:, :, : tiling.rows.size, : tiling.columns.size]


def lay(x: Tensor, tiling: Tiling) -> Tensor:
    """Pad (B, C, H, W) with zeros to whole windows, then roll it up and to the left by the shift."""
    rows, columns, x = tiling.rows, tiling.columns, padded(x, tiling)
    return x.roll((-rows.shift, -columns.shift), (2, 3)) if tiling.shifted else x


def lift(x: Tensor, tiling: Tiling) -> Tensor:
    """The inverse of :func:`lay`: roll back and cut the padding off."""
    rows, columns = tiling.rows, tiling.columns
    return unpadded(x.roll((rows.shift, columns.shift), (2, 3)) if tiling.shifted else x, tiling)


def split(x: Tensor, tiling: Tiling, groups: int, heads: int) -> Tensor:
    """(B, groups * heads * d, H, W), laid, to (groups, B, windows, heads, positions, d): one copy."""
    rows, columns = tiling.rows, tiling.columns
    tiles = x.reshape(x.shape[0], groups, heads, -1, rows.count, rows.side, columns.count, columns.side)
    return tiles.permute(1, 0, 4, 6, 2, 5, 7, 3).reshape(
        groups, x.shape[0], tiling.count, heads, tiling.positions, tiles.shape[3]
    )


def join(x: Tensor, tiling: Tiling) -> Tensor:
    """(B, windows, heads, positions, d) to (B, heads * d, H, W), still laid."""
    rows, columns = tiling.rows, tiling.columns
    tiles = x.reshape(x.shape[0], rows.count, columns.count, x.shape[2], rows.side, columns.side, x.shape[-1])
    return tiles.permute(0, 3, 6, 1, 4, 2, 5).reshape(x.shape[0], -1, rows.padded, columns.padded)


def cut(x: Tensor, tiling: Tiling) -> Tensor:
    """The windows of (B, C, H, W), padded and shifted, as maps of their own: (B * windows, C, rows, columns).

    One copy, channels last; :func:`sew` is the inverse. What they are to :func:`lay` and :func:`split`, for operators
    that take windows one by one.
    """
    rows, columns, x = tiling.rows, tiling.columns, padded(x, tiling)
    order, back = _orders(tiling, x.device)
    windows = _Reordered.apply(x.permute(0, 2, 3, 1).flatten(1, 2), order, back)
    return windows.reshape(-1, rows.side, columns.side, x.shape[1]).permute(0, 3, 1, 2)


def sew(windows: Tensor, tiling: Tiling) -> Tensor:
    """The map (B, C, H, W) of windows that :func:`cut` has made."""
    rows, columns = tiling.rows, tiling.columns
    order, back = _orders(tiling, windows.device)
    tokens = windows.permute(0, 2, 3, 1).reshape(-1, rows.padded * columns.padded, windows.shape[1])
    x = _Reordered.apply(tokens, back, order).unflatten(1, (rows.padded, columns.padded)).permute(0, 3, 1, 2)
    return unpadded(x, tiling)


def order(tiling: Tiling, device: torch.device) -> Tensor:
    """Which position of the padded map each position of the shifted windows is: (windows * positions,)."""
    return _orders(tiling, device)[0]


@lru_cache(maxsize=64)
def _orders(tiling: Tiling, device: torch.device) -> tuple[Tensor, Tensor]:
    """Which position of the padded map each position of the shifted windows is, and the inverse."""
    rows, columns = tiling.rows, tiling.columns
    with torch.inference_mode(False):  # held beyond the call, they must not be bound to its mode
        places = torch.arange(rows.padded * columns.padded, device=device).view(rows.padded, columns.padded)
        rolled = places.roll((-rows.shift, -columns.shift), (0, 1))
        order = rolled.view(rows.count, rows.side, columns.count, columns.side).transpose(1, 2).flatten()
        return order, order.argsort()


class _Reordered(torch.autograd.Function):
    """Tokens (B, N, C) in another order; backward the inverse, in place of a sum over indices that all differ."""

    generate_vmap_rule = True

    @staticmethod
    def forward(tokens: Tensor, order: Tensor, back: Tensor) -> Tensor:
        return tokens.index_select(1, order)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        _, ctx.order, ctx.back = inputs

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _Reordered.apply(grad, ctx.back, ctx.order), None, None


def position_bias(table: Tensor, window: int, tiling: Tiling) -> Tensor:
    """The table's entry for every pair: (heads, positions, positions), first the query, then the key.

    table ((2 window - 1)^2, heads), row by row over the offsets query - key; a smaller window uses its middle. Views
    stand in for an index tensor: along an axis, entry (q, k) is number window - 1 + q - k of the offsets.
    """
    high, wide = tiling.rows.side, tiling.columns.side
    offsets = table.T.unflatten(1, (2 * window - 1, 2 * window - 1))
    middle = offsets[:, window - high : window + high - 1, window - wide : window + wide - 1]
    pairs = middle.unfold(1, high, 1).unfold(2, wide, 1).flip(3, 4)
    return pairs.reshape(table.shape[1], tiling.positions, tiling.positions)


def shift_mask(tiling: Tiling, like: Tensor) -> Tensor:
    """0 where two positions of a window were neighbours before the roll, else ``MASKED``: (windows, 1, P, P)."""
    rows, columns = tiling.rows, tiling.columns
    region = 3 * _regions(rows, like)[:, None] + _regions(columns, like)
    tiles = region.view(rows.count, rows.side, columns.count, columns.side)
    tiles = tiles.transpose(1, 2).reshape(tiling.count, 1, tiling.positions)
    apart = tiles[..., :, None] != tiles[..., None, :]
    return apart.to(like.dtype) * MASKED


def _regions(axis: Axis, like: Tensor) -> Tensor:
    """Which piece of the unrolled axis every position of the rolled one comes from: all before the last window, or its
    first or its last part."""
    place = torch.arange(axis.padded, device=like.device)
    if not axis.shift:
        return torch.zeros_like(place)
    return (place >= axis.padded - axis.side).long() + (place >= axis.padded - axis.shift).long()


def whole(x: Tensor, side: int) -> Tensor:
    """(B, C, H, W) padded with zeros below and on the right until ``side`` divides both sizes."""
    low, right = -x.shape[2] % side, -x.shape[3] % side
    return pad(x, (0, right, 0, low)) if low or right else x


def neighbours(x: Tensor) -> Tensor:
    """The channels of every 2x2 square one after another, column by column: (B, 4 C, ceil(H / 2), ceil(W / 2))."""
    x = whole(x, 2)
    squares = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))
    return squares.permute(0, 2, 4, 5, 3, 1).flatten(3).permute(0, 3, 1, 2)  # channels last, as the norm wants them
