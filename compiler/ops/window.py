"""Aggregation over a sliding window, one cache-sized block at a time, without ever unfolding the input."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """Where a G x G window of a given stride meets a map: sizes in pixels, `channels` per head."""

    kernel: int
    stride: int
    height: int
    width: int
    channels: int

    @property
    def taps(self) -> int:
        return self.kernel**2

    @property
    def out_height(self) -> int:
        return (self.height - 1) // self.stride + 1

    @property
    def out_width(self) -> int:
        return (self.width - 1) // self.stride + 1

    @property
    def out_pixels(self) -> int:
        return self.out_height * self.out_width

    @property
    def rows(self) -> int:
        """Padded rows of one stride phase: tap row d reads rows d // stride ... of phase d % stride."""
        return self.out_height + (self.kernel - 1) // self.stride

    @property
    def padded_width(self) -> int:
        """Columns that any tap reads, or that the input has, whichever is more."""
        return max(self.stride * (self.out_width - 1) + self.kernel, self.width + self.kernel // 2)

    def padded(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """(n, C, H, W) -> zero-padded (n, C, stride * rows, padded width) in `dtype`."""
        buffer = x.new_zeros((*x.shape[:2], self.stride * self.rows, self.padded_width), dtype=dtype)
        self.interior(buffer).copy_(x[:, :, : self.interior_rows])
        return buffer

    @property
    def interior_rows(self) -> int:
        """Input rows that some tap reads; a strided window may skip the last ones."""
        return min(self.height, self.stride * self.rows - self.kernel // 2)

    def interior(self, padded: Tensor) -> Tensor:
        """The part of a padded block that holds the input."""
        low = self.kernel // 2
        return padded[:, :, low : low + self.interior_rows, low : low + self.width]

    def column(self, padded: Tensor, dx: int) -> Tensor:
        """Columns that tap column `dx` reads, rows sorted by stride phase: a view (n, C, stride, rows, Wo)."""
        last = dx + self.stride * (self.out_width - 1) + 1
        split = padded[..., dx : last : self.stride].unflatten(2, (self.rows, self.stride))
        return split.transpose(2, 3)

    def rows_of(self, column: Tensor, dy: int) -> Tensor:
        """Rows that tap row `dy` reads of a contiguous column copy: a view (n, heads, channels, Ho * Wo)."""
        first = dy // self.stride
        rows = column[:, :, dy % self.stride, first : first + self.out_height].flatten(2)
        return rows.unflatten(1, (-1, self.channels))


def window_of(x: Tensor, heads: int, kernel: int, stride: int) -> Window:
    """The window geometry for an input (B, C, H, W) whose channels are shared among `heads`."""
    return Window(kernel, stride, x.shape[2], x.shape[3], x.shape[1] // heads)


def check_window(x: Tensor, map_channels: int, kernel: int, stride: int) -> None:
    """Raise ValueError unless x is (B, C, H, W) and the map's channels are a head count that divides C, times G * G."""
    if x.ndim != 4:
        raise ValueError(f"x must be (B, C, H, W), got {tuple(x.shape)}")
    if kernel < 1 or stride < 1:
        raise ValueError(f"kernel and stride must be at least 1, got {kernel} and {stride}")
    if map_channels < 1 or map_channels % kernel**2:
        raise ValueError(f"{map_channels} map channels are not heads * {kernel} * {kernel}")
    heads = map_channels // kernel**2
    if x.shape[1] % heads:
        raise ValueError(f"{heads} heads do not divide {x.shape[1]} channels")


def aggregation_flop(x_shape: Shape, kernel: int, stride: int) -> int:
    """Floating point operations of one aggregation, two per multiply-add."""
    return 2 * math.prod(x_shape[:2]) * -(-x_shape[2] // stride) * -(-x_shape[3] // stride) * kernel**2


def block_bytes(window: Window, dtype: torch.dtype) -> int:
    """Bytes of one head of one image: the output slice that a block adds to, tap after tap."""
    return window.channels * max(window.out_pixels, window.height * window.width) * dtype.itemsize


def images_of(planes: Tensor, images: slice) -> slice:
    """The same images of a tensor that may hold one for all of them."""
    return slice(0, 1) if planes.shape[0] == 1 else images


def forward_block(x: Tensor, planes: Tensor, out: Tensor, window: Window) -> None:
    """Aggregate into a slice of the output, through a buffer where its layout or dtype is not the computing one."""
    direct = out.dtype == planes.dtype and out.is_contiguous()
    y = out if direct else torch.empty(out.shape, dtype=planes.dtype, device=out.device)
    aggregate_block(x, planes, y.view(y.shape[0], -1, window.channels, window.out_pixels), window)
    if not direct:
        out.copy_(y)


def as_heads(dy: Tensor, dtype: torch.dtype, window: Window) -> Tensor:
    """(n, C, Ho, Wo) -> contiguous (n, heads, channels, Ho * Wo) in the dtype computed in."""
    return dy.to(dtype).contiguous().view(dy.shape[0], -1, window.channels, window.out_pixels)


def aggregate_block(x: Tensor, maps: Tensor, y: Tensor, window: Window) -> None:
    """y[n, h, c, l] = sum_u maps[n, h, u, l] * x[n, h, c, stride * l + u - G // 2] for one block.

    x (n, C, H, W), any dtype; maps (n or 1, heads, G * G, Ho * Wo); y (n, heads, channels, Ho * Wo), overwritten,
    in the dtype computed in.
    """
    y.zero_()
    for u, source in _taps(window.padded(x, y.dtype), window):
        y.addcmul_(source, maps[:, :, u].unsqueeze(2))


def aggregate_block_dmaps(x: Tensor, dy: Tensor, dmaps: Tensor, window: Window) -> None:
    """dmaps[n, h, u, l] += sum_c dy[n, h, c, l] * x[n, h, c, stride * l + u - G // 2]; over n where dmaps has one."""
    product = torch.empty_like(dy)
    axes = (0, 2) if dmaps.shape[0] == 1 else (2,)
    for u, source in _taps(window.padded(x, dy.dtype), window):
        torch.mul(dy, source, out=product)
        dmaps[:, :, u] += product.sum(axes)


def aggregate_block_dx(maps: Tensor, dy: Tensor, dx: Tensor, window: Window) -> None:
    """dx[n, h, c, stride * l + u - G // 2] = sum_u maps[n, h, u, l] * dy[n, h, c, l]; overwrites dx (n, C, H, W)."""
    padded = dy.new_zeros((*dx.shape[:2], window.stride * window.rows, window.padded_width))
    for column in range(window.kernel):
        target = window.column(padded, column)
        gathered = dy.new_zeros(target.shape)
        for row in range(window.kernel):
            window.rows_of(gathered, row).addcmul_(dy, maps[:, :, row * window.kernel + column].unsqueeze(2))
        target += gathered
    dx[:, :, window.interior_rows :].zero_()
    dx[:, :, : window.interior_rows].copy_(window.interior(padded))


def _taps(padded: Tensor, window: Window) -> Iterator[tuple[int, Tensor]]:
    # One copy per tap column makes the G rows of taps contiguous runs of Ho * Wo numbers.
    buffer: Tensor | None = None
    for column in range(window.kernel):
        view = window.column(padded, column)
        buffer = torch.empty(view.shape, dtype=view.dtype, device=view.device) if buffer is None else buffer
        buffer.copy_(view)
        for row in range(window.kernel):
            yield row * window.kernel + column, window.rows_of(buffer, row)
