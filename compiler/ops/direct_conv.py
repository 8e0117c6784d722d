"""Convolution with kernels as large as the map, tap by tap: for maps so small that a transform costs more."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from . import flat_fft, native_conv
from .flat_fft import Layout
from .numerics import compute_dtype, empty_like_layout


def faster(layout: Layout, device: torch.device) -> bool:
    """Whether a direct form beats the transform: on CPU and up to 8 x 8 pixels, but not for sequences as short, unless
    it is the native one.
    """
    return native_conv.faster(layout, device) or (device.type == "cpu" and layout.height > 1 and layout.pixels <= 64)


def convolve(x: Tensor, filters: Tensor, layout: Layout) -> Tensor:
    """x (B, C, H, W), filters (C, K, K2) -> (B, C, H, W) in the dtype of x."""
    if native_conv.faster(layout, x.device):
        return native_conv.convolve(x, _whole(filters, layout), layout)
    return _correlate(x, _symmetric(filters, layout).flip(1, 2), layout)


def convolve_transposed(dy: Tensor, filters: Tensor, layout: Layout) -> Tensor:
    """The gradient of `convolve` with respect to x."""
    if native_conv.faster(layout, dy.device):
        return native_conv.convolve(dy, _whole(filters, layout).flip(1, 2), layout)
    return _correlate(dy, _symmetric(filters, layout), layout)


def filter_gradient(dy: Tensor, x: Tensor, filters: Tensor, layout: Layout) -> Tensor:
    """The gradient of `convolve` with respect to the filters."""
    if not native_conv.faster(layout, x.device):
        return flat_fft.convolve_backward(dy, x, filters, layout, need_dx=False, need_dfilters=True)[1]
    whole, dfilters = native_conv.filter_gradient(dy, x, layout), torch.zeros_like(filters)
    (rows, columns), (h, w) = (layout.rows, layout.columns), (layout.height - 1, layout.width - 1)
    reached = whole[:, h - rows.before : h + rows.after + 1, w - columns.before : w + columns.after + 1]
    layout.crop(dfilters).copy_(reached)
    return dfilters


def _whole(filters: Tensor, layout: Layout) -> Tensor:
    """The taps within reach, with zeros added up to (C, 2 H - 1, 2 W - 1)."""
    axes = ((layout.columns, layout.width - 1), (layout.rows, layout.height - 1))
    return pad(layout.crop(filters), [side for axis, far in axes for side in (far - axis.before, far - axis.after)])


def _symmetric(filters: Tensor, layout: Layout) -> Tensor:
    """The taps within reach, with zero taps added until the centre is in the middle."""
    rows, columns = layout.rows, layout.columns
    margins = [side for axis in (columns, rows) for side in (axis.farthest - axis.before, axis.farthest - axis.after)]
    return pad(layout.crop(filters), margins)


def _correlate(x: Tensor, filters: Tensor, layout: Layout) -> Tensor:
    # Padding by the convolution itself, not of its input, is what oneDNN has a fast kernel for at this size.
    dtype, padding = compute_dtype(x), (layout.rows.farthest, layout.columns.farthest)
    y = torch.conv2d(x.to(dtype), filters.to(dtype).unsqueeze(1), padding=padding, groups=len(filters))
    return empty_like_layout(x, tuple(x.shape)).copy_(y)
