"""Convolution with kernels as large as the map, as matrix products, in Triton; for maps of up to 32 x 32 pixels.

    y[n, c, i, :] = sum over rows a of x[n, c, a, :] @ T[c, i - a]        T[c, d][k, j] = h[c, d, j - k + before]

T is a Toeplitz matrix of the filter's row d. It is laid out in registers from W + W - 1 numbers and never stored, so
the operator reads x once for every row of the output, from the cache, and matrix units do the work.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..flat_fft import Layout
from ..numerics import empty_like_layout
from . import SIDE, dense, padded, strides

IMAGES = 64
"""Most images of a tile."""


@triton.jit
def _toeplitz(filters, c, d, source, target, width, taps, before, rows, SIGN: tl.constexpr):
    """The matrix (source column, target column) of row d of the filter of channel c."""
    tap = SIGN * (target[None, :] - source[:, None]) + before
    seen = (source < width)[:, None] & (target < width)[None, :] & (tap >= 0) & (tap < taps)
    return tl.load(filters + (c * rows + d) * taps + tap, seen, 0.0).to(tl.float32)


@triton.jit
def _convolve(
    x, x_n, x_c, x_p, filters, y, y_n, y_c, y_p, images, height, width,
    rows, taps, before_row, before_column, SIGN: tl.constexpr, N: tl.constexpr, W: tl.constexpr,
):  # fmt: skip
    """One row of the output of one channel in a tile of images; SIGN is 1, or -1 for the transposed product."""
    i, c = tl.program_id(0), tl.program_id(1)
    n, j = tl.program_id(2) * N + tl.arange(0, N), tl.arange(0, W)
    there = (n < images)[:, None] & (j < width)[None, :]
    at, out = n.to(tl.int64)[:, None] * x_n + c * x_c, n.to(tl.int64)[:, None] * y_n + c * y_c
    total = tl.zeros((N, W), tl.float32)
    for a in range(height):
        d = SIGN * (i - a) + before_row
        if (d >= 0) & (d < rows):
            values = tl.load(x + at + (a * width + j)[None, :] * x_p, there, 0.0).to(tl.float32)
            matrix = _toeplitz(filters, c, d, j, j, width, taps, before_column, rows, SIGN)
            total += tl.dot(values, matrix, input_precision="tf32x3")
    tl.store(y + out + (i * width + j)[None, :] * y_p, total, there)


@triton.jit
def _filter_gradient(
    x, x_n, x_c, x_p, dy, dy_n, dy_c, dy_p, dfilters, images, height, width,
    rows, taps, before_row, before_column, N: tl.constexpr, W: tl.constexpr,
):  # fmt: skip
    """Row d of the gradient of one channel's filter: the diagonals of a product over images and pairs of rows."""
    d, c = tl.program_id(0), tl.program_id(1)
    j = tl.arange(0, W)
    total = tl.zeros((W, W), tl.float32)
    for first in range(0, images, N):
        n = first + tl.arange(0, N)
        there, at = (n < images)[:, None] & (j < width)[None, :], n.to(tl.int64)[:, None]
        for i in range(height):
            a = i - d + before_row
            if (a >= 0) & (a < height):
                values = tl.load(x + at * x_n + c * x_c + (a * width + j)[None, :] * x_p, there, 0.0)
                grad = tl.load(dy + at * dy_n + c * dy_c + (i * width + j)[None, :] * dy_p, there, 0.0)
                total += tl.dot(tl.trans(values.to(tl.float32)), grad.to(tl.float32), input_precision="tf32x3")
    tap = j[None, :] - j[:, None] + before_column
    for e in range(taps):
        tl.store(dfilters + (c * rows + d) * taps + e, tl.sum(tl.where(tap == e, total, 0.0)))


def convolve(x: Tensor, filters: Tensor, layout: Layout, *, transposed: bool = False) -> Tensor:
    """x (B, C, H, W) convolved with filters (C, K, K2); `transposed`: the input's gradient from the output's."""
    x, y = dense(x), empty_like_layout(x, tuple(x.shape))
    tile = _tile(x, layout)
    grid = (layout.height, x.shape[1], triton.cdiv(x.shape[0], tile["N"]))
    tensors = (x, *strides(x), layout.crop(filters).contiguous(), y, *strides(y))
    with torch.cuda.device_of(x):
        _convolve[grid](*tensors, *_sizes(x, layout), SIGN=-1 if transposed else 1, **tile)
    return y


def filter_gradient(x: Tensor, dy: Tensor, filters: Tensor, layout: Layout) -> Tensor:
    """The gradient (C, K, K2) of the filters; zero for taps that never meet the map."""
    x, dy = dense(x), dense(dy)
    rows = x.new_empty((x.shape[1], layout.rows.taps, layout.columns.taps), dtype=torch.float32)
    tensors = (x, *strides(x), dy, *strides(dy), rows)
    with torch.cuda.device_of(x):
        _filter_gradient[(layout.rows.taps, x.shape[1])](*tensors, *_sizes(x, layout), **_tile(x, layout))
    dfilters = filters.new_zeros(filters.shape)
    layout.crop(dfilters).copy_(rows)
    return dfilters


def _tile(x: Tensor, layout: Layout) -> dict[str, int]:
    return {"N": padded(x.shape[0], IMAGES), "W": padded(layout.width, SIDE)}


def _sizes(x: Tensor, layout: Layout) -> tuple[int, ...]:
    rows, columns = layout.rows, layout.columns
    return x.shape[0], layout.height, layout.width, rows.taps, columns.taps, rows.before, columns.before
