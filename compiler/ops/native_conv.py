"""The native form of the global convolution: `native_conv.cpp`, tap by tap, for maps and sequences of a few hundred
pixels, where there is a C++ compiler (see `native`).
"""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor
from torch.nn.functional import pad

from . import native
from .flat_fft import Layout
from .numerics import compute_dtype, empty_like_layout

LANES, UNROLL = 32, 8
"""Multiples that rows are padded to."""
MOST_PIXELS = 256
"""Above, the transform is faster; measured with AVX-512, sequences of 49, 196 and 784 tokens, maps of 7, 14 and 28."""


def faster(layout: Layout, device: torch.device) -> bool:
    """Whether this form can run and beats the others: small maps whose filters reach over most of them."""
    reach = 2 * layout.rows.farthest >= layout.height - 1 and 2 * layout.columns.farthest >= layout.width - 1
    return reach and layout.pixels <= MOST_PIXELS and native.available(device)


def convolve(x: Tensor, filters: Tensor, layout: Layout) -> Tensor:
    """x (B, C, H, W), filters (C, 2 H - 1, 2 W - 1), centred -> (B, C, H, W) in the dtype of x."""
    dtype, width = compute_dtype(x), layout.width
    margin = UNROLL + LANES  # read in vain before the first row of taps and behind the last one
    flat = pad(filters.to(dtype).flatten(), (margin, margin))
    y = x.new_empty(x.shape, dtype=dtype)
    _run("convolve", _rows(x, dtype, width), flat[margin:], y, layout, taps=2 * width - 1, padded=0)
    return empty_like_layout(x, tuple(x.shape)).copy_(y)


def filter_gradient(dy: Tensor, x: Tensor, layout: Layout) -> Tensor:
    """The gradient of `convolve` with respect to filters (C, 2 H - 1, 2 W - 1), in the dtype computed in."""
    dtype, width = compute_dtype(x), layout.width
    taps = -(-(2 * width - 1) // LANES) * LANES
    source = _rows(x, dtype, width)
    padded = source.shape[3] + taps
    grad = pad(dy.to(dtype).contiguous(), (width - 1, padded - 2 * width + 1)).contiguous()
    made = x.new_empty((x.shape[1], 2 * layout.height - 1, taps), dtype=dtype)
    _run("filter_gradient", source, grad, made, layout, taps, padded)
    return made[..., : 2 * width - 1]


def _rows(x: Tensor, dtype: torch.dtype, width: int) -> Tensor:
    """x with zeros at the end of its rows."""
    return pad(x.to(dtype).contiguous(), (0, -width % UNROLL)).contiguous()


class _Sizes(ctypes.Structure):
    """`ConvSizes` of native_conv.cpp."""

    _fields_ = [(name, ctypes.c_long) for name in ("images", "channels", "height", "width", "row", "taps", "padded")]


ARGUMENTS = [ctypes.c_void_p] * 3 + [ctypes.c_long] * 2 + [ctypes.POINTER(_Sizes)]


def _run(name: str, x: Tensor, other: Tensor, made: Tensor, layout: Layout, taps: int, padded: int) -> None:
    """Call a function of the library on all channels, shared out among torch's threads."""
    function = native.function(name, x.dtype, ARGUMENTS)
    images, channels, _, row = x.shape
    sizes = _Sizes(images, channels, layout.height, layout.width, row, taps, padded)
    pointers = x.data_ptr(), other.data_ptr(), made.data_ptr()
    native.spread(lambda first, last: function(*pointers, first, last, sizes), channels)
