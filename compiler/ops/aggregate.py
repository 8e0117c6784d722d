"""Aggregation with predicted kernels: each output pixel is a weighted sum over its window, one kernel per head.

The operator behind involution (arXiv:2103.06255), SAN (arXiv:2004.13621) and CADA (arXiv:2210.17141, Eq. 1):

    y[b, c, l] = sum over u in G x G of maps[b, head(c), u, l] * x[b, c, stride * l + u - G // 2]

with zero padding, taps row-major, and contiguous heads: head(c) = c // (C / heads). It keeps x and maps for
backward and never unfolds x. Precision: whatever the dtypes of x and maps, sums run in float32 (float64 for double x),
and the result has the dtype of x; so under autocast it takes bfloat16 or float16 as they come and needs no cast.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from . import gpu
from .blocked import blocks_of, form_of, forward_block, output_gradient
from .decomposed import aggregate_decomposed
from .numerics import compute_dtype, empty_like_layout, unused, without_autocast
from .window import Shape, Window, aggregation_flop, check_window, window_of

__all__ = ["aggregate", "aggregate_decomposed"]

# one step each to who traces a layer symbolically, as `freeze` does
torch.fx.wrap("aggregate")
torch.fx.wrap("aggregate_decomposed")


def aggregate(x: Tensor, maps: Tensor, *, kernel: int, stride: int = 1) -> Tensor:
    """Weighted sum over a kernel x kernel window, the weights taken from `maps`.

    x (B, C, H, W); maps (B or 1, heads * G * G, Ho, Wo) per position, (B, heads * G * G, 1, 1) per image, or
    (1, heads * G * G, 1, 1) or (heads, G, G) static. Returns (B, C, Ho, Wo), Ho = ceil(H / stride), in the dtype of x.

    Raises ValueError where the shapes do not fit.
    """
    if maps.ndim == 3:
        maps = maps.reshape(1, -1, 1, 1)
    _check(x, maps, kernel, stride)
    out: Tensor = torch.ops.mixspec.aggregate(x, maps, kernel, stride)
    return out


def _check(x: Tensor, maps: Tensor, kernel: int, stride: int) -> None:
    if maps.ndim != 4:
        raise ValueError(f"maps must be (B, heads * G * G, Ho, Wo) or (heads, G, G), got {tuple(maps.shape)}")
    check_window(x, maps.shape[1], kernel, stride)
    if maps.shape[0] not in (1, x.shape[0]):
        raise ValueError(f"maps hold {maps.shape[0]} images, x holds {x.shape[0]}")
    window = window_of(x, maps.shape[1] // kernel**2, kernel, stride)
    size = (maps.shape[2], maps.shape[3])
    if size != (1, 1) and size != (window.out_height, window.out_width):
        raise ValueError(f"maps are {size[0]}x{size[1]}, expected {window.out_height}x{window.out_width} or 1x1 pixels")


@torch.library.custom_op("mixspec::aggregate", mutates_args=())
def _aggregate(x: Tensor, maps: Tensor, kernel: int, stride: int) -> Tensor:
    window = window_of(x, maps.shape[1] // kernel**2, kernel, stride)
    with without_autocast(x):
        if maps.shape[2:] == (1, 1):
            return _as_convolution(x, maps, window)
        return _per_position(x, maps, window)


@_aggregate.register_fake
def _(x: Tensor, maps: Tensor, kernel: int, stride: int) -> Tensor:
    window = window_of(x, 1, kernel, stride)
    return empty_like_layout(x, (x.shape[0], x.shape[1], window.out_height, window.out_width))


@torch.library.custom_op("mixspec::aggregate_backward", mutates_args=())
def _aggregate_backward(
    dy: Tensor, x: Tensor, maps: Tensor, kernel: int, stride: int, need_dx: bool, need_dmaps: bool
) -> tuple[Tensor, Tensor]:
    window = window_of(x, maps.shape[1] // kernel**2, kernel, stride)
    with without_autocast(x):
        if maps.shape[2:] == (1, 1):
            return _as_convolution_backward(dy, x, maps, window, need_dx, need_dmaps)
        return _per_position_backward(dy, x, maps, window, need_dx, need_dmaps)


@_aggregate_backward.register_fake
def _(
    dy: Tensor, x: Tensor, maps: Tensor, kernel: int, stride: int, need_dx: bool, need_dmaps: bool
) -> tuple[Tensor, Tensor]:
    dx = empty_like_layout(x, tuple(x.shape)) if need_dx else unused(x)
    return dx, maps.new_empty(maps.shape) if need_dmaps else unused(maps)


def _setup(ctx: Any, inputs: tuple[Tensor, Tensor, int, int], output: Tensor) -> None:
    x, maps, ctx.kernel, ctx.stride = inputs
    ctx.save_for_backward(x, maps)


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    x, maps = ctx.saved_tensors
    need_dx, need_dmaps = ctx.needs_input_grad[:2]
    dx, dmaps = torch.ops.mixspec.aggregate_backward(dy, x, maps, ctx.kernel, ctx.stride, need_dx, need_dmaps)
    return dx if need_dx else None, dmaps if need_dmaps else None, None, None


_aggregate.register_autograd(_backward, setup_context=_setup)


@register_flop_formula(torch.ops.mixspec.aggregate)
def _flop(x_shape: Shape, maps_shape: Shape, kernel: int, stride: int, out_shape: object = None) -> int:
    return aggregation_flop(x_shape, kernel, stride)


@register_flop_formula(torch.ops.mixspec.aggregate_backward)
def _backward_flop(
    dy_shape: Shape,
    x_shape: Shape,
    maps_shape: Shape,
    kernel: int,
    stride: int,
    need_dx: bool,
    need_dmaps: bool,
    out_shape: object = None,
) -> int:
    """As much as forward for each gradient that is asked for."""
    return (need_dx + need_dmaps) * aggregation_flop(x_shape, kernel, stride)


def _per_position(x: Tensor, maps: Tensor, window: Window) -> Tensor:
    dtype, planes = compute_dtype(x), _planes(maps, window)
    out = empty_like_layout(x, (*x.shape[:2], window.out_height, window.out_width))
    if gpu.wanted(x):
        from .gpu import aggregate as kernels

        kernels.forward(x, kernels.stored(planes), out, window)
        return out
    for block in blocks_of(x, planes.shape[1], window, dtype):
        forward_block(block.of(x), block.of_maps(planes).to(dtype), block.of(out), window)
    return out


def _planes(maps: Tensor, window: Window) -> Tensor:
    """(B, heads * G * G, Ho, Wo) -> (B, heads, G * G, Ho * Wo)."""
    return maps.reshape(maps.shape[0], -1, window.taps, window.out_pixels)


def _per_position_backward(
    dy: Tensor, x: Tensor, maps: Tensor, window: Window, need_dx: bool, need_dmaps: bool
) -> tuple[Tensor, Tensor]:
    dtype, planes, form = compute_dtype(x), _planes(maps, window), form_of(window, x.device)
    dx = empty_like_layout(x, tuple(x.shape)) if need_dx else unused(x)
    if gpu.wanted(x):
        from .gpu import aggregate as kernels

        if need_dx:
            kernels.input_gradient(dy, kernels.stored(planes), dx, window)
        if not need_dmaps:
            return dx, unused(maps)
        return dx, kernels.map_gradient(x, dy, len(planes), window).to(maps.dtype).view(maps.shape)
    dplanes = maps.new_zeros(planes.shape, dtype=dtype) if need_dmaps else unused(maps)
    for block in blocks_of(x, planes.shape[1], window, dtype):
        grad = output_gradient(block.of(dy), dtype, window)
        if need_dmaps:
            form.map_gradient(block.of(x), grad, block.of_maps(dplanes), window)
        if need_dx:
            form.input_gradient(block.of_maps(planes).to(dtype), grad, block.of(dx), window)
    return dx, dplanes.view(maps.shape).to(maps.dtype) if need_dmaps else dplanes


def _as_convolution(x: Tensor, maps: Tensor, window: Window) -> Tensor:
    """A kernel that is the same at every position is a depth-wise convolution, with one group per (image,) channel."""
    folded, weight = _folded(x, maps, window), _depthwise(x, maps, window)
    y = torch.conv2d(folded, weight, stride=window.stride, groups=weight.shape[0])
    out = empty_like_layout(x, (*x.shape[:2], window.out_height, window.out_width))
    return out.copy_(y.view(out.shape))


def _folded(x: Tensor, maps: Tensor, window: Window) -> Tensor:
    # Padded by hand since an even window is padded by one less on the right; images become channels where maps differ.
    low, high = window.kernel // 2, (window.kernel - 1) // 2
    padded = torch.nn.functional.pad(x, (low, high, low, high))
    return padded if maps.shape[0] == 1 else padded.reshape(1, -1, *padded.shape[2:])


def _depthwise(x: Tensor, maps: Tensor, window: Window) -> Tensor:
    kernels = maps.to(x.dtype).reshape(-1, 1, window.kernel, window.kernel)
    return kernels.repeat_interleave(window.channels, dim=0)


def _as_convolution_backward(
    dy: Tensor, x: Tensor, maps: Tensor, window: Window, need_dx: bool, need_dmaps: bool
) -> tuple[Tensor, Tensor]:
    folded, weight = _folded(x, maps, window), _depthwise(x, maps, window)
    grad = dy.contiguous().view(folded.shape[0], -1, window.out_height, window.out_width)
    dfolded, dweight, _ = torch.ops.aten.convolution_backward(
        grad, folded, weight, None, [window.stride] * 2, [0, 0], [1, 1], False, [0, 0], weight.shape[0],
        [need_dx, need_dmaps, False],
    )  # fmt: skip
    dx, dmaps = unused(x), unused(maps)
    if need_dx:
        low = window.kernel // 2
        inner = dfolded[:, :, low : low + window.height, low : low + window.width]
        dx = empty_like_layout(x, tuple(x.shape)).copy_(inner.reshape(x.shape))
    if need_dmaps:
        summed = dweight.view(-1, window.channels, window.taps).sum(1, dtype=compute_dtype(x))
        dmaps = summed.to(maps.dtype).view(maps.shape)
    return dx, dmaps
