"""The shift form of the aggregation: one fused multiply-add over the whole block per tap.

Each tap column is copied once, so that its G rows of taps are contiguous runs of Ho * Wo numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .window import Window

# Per thread: the block that every tap passes over should stay in a core's second-level cache.
BLOCK_BYTES = 1 << 19


def forward(x: Tensor, maps: Tensor, y: Tensor, window: Window) -> None:
    """y[n, h, c, l] = sum_u maps[n, h, u, l] * x[n, h, c, stride * l + u - G // 2] for one block.

    x (n, C, H, W), any dtype; maps (n or 1, heads, G * G, Ho * Wo); y (n, heads, channels, Ho * Wo), overwritten,
    in the dtype computed in.
    """
    y.zero_()
    for dx, column in _columns(window.padded(x, y.dtype), window):
        for dy in range(window.kernel):
            y.addcmul_(_rows(column, dy, window), maps[:, :, dy * window.kernel + dx].unsqueeze(2))


def map_gradient(x: Tensor, grad: Tensor, dmaps: Tensor, window: Window) -> None:
    """dmaps[n, h, u, l] += sum_c grad[n, h, c, l] * x[n, h, c, stride * l + u - G // 2]; over n where dmaps has one."""
    planes, phases = dmaps.unflatten(2, (window.kernel, window.kernel)), range(min(window.stride, window.kernel))
    images = [slice(None)] if dmaps.shape[0] == len(grad) else [slice(i, i + 1) for i in range(len(grad))]
    for dx, column in _columns(window.padded(x, grad.dtype), window):
        for phase in phases:
            # All rows of taps of this phase at once: they overlap in memory, which a view may and a copy must not.
            taps = planes[:, :, phase :: window.stride, dx]
            stack = _stack(column, phase, taps.shape[2], window)
            for c in range(window.channels):
                for n in images:
                    taps.addcmul_(grad[n, :, c].unsqueeze(2), stack[n, :, c])


def input_gradient(maps: Tensor, grad: Tensor, dx: Tensor, window: Window) -> None:
    """dx[n, h, c, stride * l + u - G // 2] = sum_u maps[n, h, u, l] * grad[n, h, c, l]; overwrites dx (n, C, H, W)."""
    padded = grad.new_zeros((*dx.shape[:2], window.stride * window.rows, window.padded_width))
    column = grad.new_empty(_column(padded, 0, window).shape)
    for j in range(window.kernel):
        column.zero_()
        for i in range(window.kernel):
            _rows(column, i, window).addcmul_(grad, maps[:, :, i * window.kernel + j].unsqueeze(2))
        _column(padded, j, window).add_(column)
    window.unpad(padded, dx)


def _columns(padded: Tensor, window: Window) -> Iterator[tuple[int, Tensor]]:
    """Every tap column with a contiguous copy of what it reads."""
    copy = torch.empty_like(_column(padded, 0, window), memory_format=torch.contiguous_format)
    for dx in range(window.kernel):
        yield dx, copy.copy_(_column(padded, dx, window))


def _column(padded: Tensor, dx: int, window: Window) -> Tensor:
    """Columns that tap column `dx` reads, rows sorted by stride phase: a view (n, C, stride, rows, Wo)."""
    last = dx + window.stride * (window.out_width - 1) + 1
    split = padded[..., dx : last : window.stride].unflatten(2, (window.rows, window.stride))
    return split.transpose(2, 3)


def _rows(column: Tensor, dy: int, window: Window) -> Tensor:
    """Rows that tap row `dy` reads of a column copy: a view (n, heads, channels, Ho * Wo)."""
    first = dy // window.stride
    rows = column[:, :, dy % window.stride, first : first + window.out_height].flatten(2)
    return rows.unflatten(1, (-1, window.channels))


def _stack(column: Tensor, phase: int, taps: int, window: Window) -> Tensor:
    """What `taps` tap rows of one stride phase read: an overlapping view (n, heads, channels, taps, Ho * Wo)."""
    source = column[:, :, phase].unflatten(1, (-1, window.channels))
    size = (*source.shape[:3], taps, window.out_pixels)
    return source.as_strided(size, (*source.stride()[:3], window.out_width, 1), source.storage_offset())
