"""Convolution with a kernel as large as the map, as in Hyena (arXiv:2302.10866) and HyenaPixel (arXiv:2402.19305).

    y[b, c, i, j] = sum over p, q of h[c, p, q] * x[b, c, i - (p - K // 2), j - (q - K2 // 2)]

A true convolution (the kernel is flipped with respect to `conv2d`), zero padded and exact for any kernel size on any
map size. Computed in float32 (float64 for double x) whatever comes in, and answered in the dtype of x, so it may stand
under autocast. x and the filters are all that is kept for backward.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from . import direct_conv, flat_fft, gpu
from .flat_fft import Layout
from .numerics import empty_like_layout, unused, without_autocast


def global_conv(x: Tensor, filters: Tensor, *, causal: bool = False) -> Tensor:
    """Depth-wise convolution of a map or a sequence with filters of any size.

    2-D: x (B, C, H, W), filters (C, K, K2), centre tap (K // 2, K2 // 2). 1-D: x (B, C, L), filters (C, T), centre tap
    T // 2, or tap 0 where `causal`. Returns the shape and dtype of x.

    Raises ValueError where the shapes do not fit, or for a causal map.
    """
    if x.ndim != filters.ndim + 1 or x.ndim not in (3, 4):
        raise ValueError(
            "expected x (B, C, H, W) with filters (C, K, K2) or x (B, C, L) with filters (C, T), "
            f"got {tuple(x.shape)} and {tuple(filters.shape)}"
        )
    if x.shape[1] != filters.shape[0]:
        raise ValueError(f"x has {x.shape[1]} channels, filters have {filters.shape[0]}")
    if causal and x.ndim == 4:
        raise ValueError("a map has no order of pixels to be causal in: flatten it to (B, C, L)")
    out: Tensor
    if x.ndim == 4:
        out = torch.ops.mixspec.global_conv2d(x, filters)
    else:
        out = torch.ops.mixspec.global_conv1d(x, filters, causal)
    return out


def map_layout(x: Tensor, filters: Tensor) -> Layout:
    """Where x (B, C, H, W) and filters (C, K, K2) lie in a transform."""
    (height, width), (k, k2) = x.shape[2:], filters.shape[1:]
    return Layout.of((height, width), (k, k2), (k // 2, k2 // 2))


def sequence_layout(x: Tensor, filters: Tensor, causal: bool) -> Layout:
    """Where x (B, C, L) and filters (C, T) lie in a transform."""
    taps = filters.shape[1]
    return Layout.of((1, x.shape[2]), (1, taps), (0, 0 if causal else taps // 2))


def by_transform(x: Tensor, layout: Layout) -> bool:
    """Whether x is convolved through its spectrum and that of the filters."""
    return not direct_conv.faster(layout, x.device)


def _forward(x: Tensor, filters: Tensor, layout: Layout) -> Tensor:
    if gpu.wanted(x) and gpu.row_is_a_tile(layout):
        from .gpu import global_conv as kernels

        return kernels.convolve(x, filters, layout)
    with without_autocast(x):
        if by_transform(x, layout):
            return flat_fft.convolve(x, filters, layout)
        return direct_conv.convolve(x, filters, layout)


def _gradients(
    dy: Tensor, x: Tensor, filters: Tensor, layout: Layout, need_dx: bool, need_dfilters: bool
) -> tuple[Tensor, Tensor]:
    if gpu.wanted(x) and gpu.row_is_a_tile(layout):
        from .gpu import global_conv as kernels

        dx = kernels.convolve(dy, filters, layout, transposed=True) if need_dx else unused(x)
        return dx, kernels.filter_gradient(x, dy, filters, layout) if need_dfilters else unused(filters)
    with without_autocast(x):
        if direct_conv.faster(layout, x.device):
            dx = direct_conv.convolve_transposed(dy, filters, layout) if need_dx else unused(x)
            dfilters = direct_conv.filter_gradient(dy, x, filters, layout) if need_dfilters else unused(filters)
            return dx, dfilters
        return flat_fft.convolve_backward(dy, x, filters, layout, need_dx, need_dfilters)


@torch.library.custom_op("mixspec::global_conv2d", mutates_args=())
def _conv2d(x: Tensor, filters: Tensor) -> Tensor:
    return _forward(x, filters, map_layout(x, filters))


@torch.library.custom_op("mixspec::global_conv2d_backward", mutates_args=())
def _conv2d_backward(
    dy: Tensor, x: Tensor, filters: Tensor, need_dx: bool, need_dfilters: bool
) -> tuple[Tensor, Tensor]:
    return _gradients(dy, x, filters, map_layout(x, filters), need_dx, need_dfilters)


@torch.library.custom_op("mixspec::global_conv1d", mutates_args=())
def _conv1d(x: Tensor, filters: Tensor, causal: bool) -> Tensor:
    out = _forward(x.unsqueeze(2), filters.unsqueeze(1), sequence_layout(x, filters, causal))
    return out.squeeze(2)


@torch.library.custom_op("mixspec::global_conv1d_backward", mutates_args=())
def _conv1d_backward(
    dy: Tensor, x: Tensor, filters: Tensor, causal: bool, need_dx: bool, need_dfilters: bool
) -> tuple[Tensor, Tensor]:
    layout = sequence_layout(x, filters, causal)
    dx, dfilters = _gradients(dy.unsqueeze(2), x.unsqueeze(2), filters.unsqueeze(1), layout, need_dx, need_dfilters)
    return dx.squeeze(2) if need_dx else dx, dfilters.squeeze(1) if need_dfilters else dfilters


@_conv2d.register_fake
def _(x: Tensor, filters: Tensor) -> Tensor:
    return empty_like_layout(x, x.shape)


@_conv1d.register_fake
def _(x: Tensor, filters: Tensor, causal: bool) -> Tensor:
    return x.new_empty(x.shape)


@_conv2d_backward.register_fake
def _(dy: Tensor, x: Tensor, filters: Tensor, need_dx: bool, need_dfilters: bool) -> tuple[Tensor, Tensor]:
    return _fake_gradients(x, filters, need_dx, need_dfilters)


@_conv1d_backward.register_fake
def _(
    dy: Tensor, x: Tensor, filters: Tensor, causal: bool, need_dx: bool, need_dfilters: bool
) -> tuple[Tensor, Tensor]:
    return _fake_gradients(x, filters, need_dx, need_dfilters)


def _fake_gradients(x: Tensor, filters: Tensor, need_dx: bool, need_dfilters: bool) -> tuple[Tensor, Tensor]:
    dx = empty_like_layout(x, x.shape) if need_dx else unused(x)
    return dx, filters.new_empty(filters.shape) if need_dfilters else unused(filters)


def _setup2d(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _setup1d(ctx: Any, inputs: tuple[Tensor, Tensor, bool], output: Tensor) -> None:
    x, filters, ctx.causal = inputs
    ctx.save_for_backward(x, filters)


def _autograd2d(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    needed = ctx.needs_input_grad[:2]
    grads = torch.ops.mixspec.global_conv2d_backward(dy, *ctx.saved_tensors, *needed)
    return tuple(grad if need else None for grad, need in zip(grads, needed, strict=True))


def _autograd1d(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    needed = ctx.needs_input_grad[:2]
    grads = torch.ops.mixspec.global_conv1d_backward(dy, *ctx.saved_tensors, ctx.causal, *needed)
    return (*(grad if need else None for grad, need in zip(grads, needed, strict=True)), None)


_conv2d.register_autograd(_autograd2d, setup_context=_setup2d)
_conv1d.register_autograd(_autograd1d, setup_context=_setup1d)


@register_flop_formula(
    [
        torch.ops.mixspec.global_conv2d,
        torch.ops.mixspec.global_conv2d_backward,
        torch.ops.mixspec.global_conv1d,
        torch.ops.mixspec.global_conv1d_backward,
    ]
)
def _flop(*_arguments: object, out_shape: object = None) -> int:
    """FFT work is counted apart (see `fftwork`), and the figure must not depend on the form that happens to run."""
    return 0
