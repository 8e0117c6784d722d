"""Convolution with kernels as large as the map, tap by tap: for maps so small that a transform costs more."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from .flat_fft import Layout
from .numerics import compute_dtype, empty_like_layout


def faster(layout: Layout, device: torch.device) -> bool:
    """Whether the direct form beats the transform: measured on CPU, where it does up to about 8 x 8 pixels."""
    return device.type == "cpu" and layout.pixels <= 64


def convolve(x: Tensor, filters: Tensor, layout: Layout) -> Tensor:
    """x (B, C, H, W), filters (C, K, K2) -> (B, C, H, W) in the dtype of x."""
    rows, columns = layout.rows, layout.columns
    margins = (columns.after, columns.before, rows.after, rows.before)
    return _correlate(x, layout.crop(filters).flip(1, 2), margins)


def convolve_transposed(dy: Tensor, filters: Tensor, layout: Layout) -> Tensor:
    """The gradient of `convolve` with respect to x."""
    rows, columns = layout.rows, layout.columns
    margins = (columns.before, columns.after, rows.before, rows.after)
    return _correlate(dy, layout.crop(filters), margins)


def _correlate(x: Tensor, filters: Tensor, margins: tuple[int, int, int, int]) -> Tensor:
    dtype = compute_dtype(x)
    padded, weight = pad(x.to(dtype), margins), filters.to(dtype).unsqueeze(1)
    y = torch.conv2d(padded, weight, groups=weight.shape[0])
    return empty_like_layout(x, tuple(x.shape)).copy_(y)
