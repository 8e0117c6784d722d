"""Aggregation with a kernel mixed from a bank: CADA's decomposed map. arXiv:2210.17141, Eq. (1).

    F[b, h, l] = position[h] + sum over i of alpha[b, (h,) i, l] * bank[h, i]        a G x G kernel per head and pixel
    y[b, c, l] = sum over u in G x G of F[b, head(c), l][u] * x[b, c, stride * l + u - G // 2]

The map F is G * G / Ch times as large as x, so it exists for one cache-sized block at a time, in forward and,
rebuilt, in backward; kept for backward are x, alpha, bank and position only. Precision as in `aggregate`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from . import gpu, native_aggregate
from .blocked import NATIVE, Block, blocks_of, form_of, forward_block, output_gradient
from .numerics import compute_dtype, empty_like_layout, layout_of, unused, without_autocast
from .window import Shape, Window, aggregation_flop, check_window, window_of


def aggregate_decomposed(
    x: Tensor, alpha: Tensor, bank: Tensor, position: Tensor | None, *, kernel: int, stride: int = 1
) -> Tensor:
    """`aggregate(x, conv1x1(alpha, bank, position))` without ever holding the map.

    x (B, C, H, W); alpha (B or 1, b, Ho, Wo) shared by all heads or (B or 1, heads * b, Ho, Wo), head-major; bank
    (heads * G * G, b, 1, 1) the weight and position (heads * G * G,) or None the bias of the 1x1 convolution, which is
    grouped by head in the second case. Returns (B, C, Ho, Wo) in the dtype of x.

    Raises ValueError where the shapes do not fit.
    """
    _check(x, alpha, bank, position, kernel, stride)
    out: Tensor = torch.ops.mixspec.aggregate_decomposed(x, alpha, bank, position, kernel, stride)
    return out


def _check(x: Tensor, alpha: Tensor, bank: Tensor, position: Tensor | None, kernel: int, stride: int) -> None:
    if bank.ndim != 4 or bank.shape[2] != 1 or bank.shape[3] != 1:
        raise ValueError(f"bank must be (heads * G * G, b, 1, 1), got {tuple(bank.shape)}")
    check_window(x, bank.shape[0], kernel, stride)
    heads, window = bank.shape[0] // kernel**2, window_of(x, bank.shape[0] // kernel**2, kernel, stride)
    if alpha.ndim != 4 or (alpha.shape[2], alpha.shape[3]) != (window.out_height, window.out_width):
        raise ValueError(f"alpha is {tuple(alpha.shape)}, expected {window.out_height}x{window.out_width} pixels")
    if alpha.shape[0] not in (1, x.shape[0]):
        raise ValueError(f"alpha holds {alpha.shape[0]} images, x holds {x.shape[0]}")
    if alpha.shape[1] not in (bank.shape[1], heads * bank.shape[1]):
        raise ValueError(f"alpha has {alpha.shape[1]} channels, expected {bank.shape[1]} or {heads} * {bank.shape[1]}")
    if position is not None and position.shape != bank.shape[:1]:
        raise ValueError(f"position must be ({bank.shape[0]},), got {tuple(position.shape)}")


@dataclass(frozen=True)
class Mixture:
    """The factors of the map in the dtype computed in: alpha (N, heads or 1, b, L), bank (heads, G * G, b).

    position (heads, G * G) or None.
    """

    alpha: Tensor
    bank: Tensor
    position: Tensor | None

    @classmethod
    def of(cls, alpha: Tensor, bank: Tensor, position: Tensor | None, taps: int, dtype: torch.dtype) -> Mixture:
        """Of the factors as `aggregate_decomposed` takes them."""
        base = bank.shape[1]
        return cls(
            alpha.to(dtype).reshape(alpha.shape[0], alpha.shape[1] // base, base, -1),
            bank.to(dtype).reshape(-1, taps, base),
            None if position is None else position.to(dtype).reshape(-1, taps),
        )

    def part(self, block: Block) -> Mixture:
        """The factors of one block."""
        shared = self.alpha.shape[1] == 1
        return Mixture(
            self.alpha[block.images_of(self.alpha)] if shared else block.of_maps(self.alpha),
            self.bank[block.heads],
            None if self.position is None else self.position[block.heads],
        )

    def planes(self) -> Tensor:
        """The map of this block, (n, heads, G * G, L)."""
        heads, taps, base = self.bank.shape
        n, groups, _, pixels = self.alpha.shape
        bank = _for_each(n, self.bank.reshape(groups, -1, base))
        alpha = self.alpha.reshape(n * groups, base, pixels)
        if self.position is None:
            return torch.bmm(bank, alpha).view(n, heads, taps, pixels)
        bias = _for_each(n, self.position.reshape(groups, -1, 1))
        return torch.baddbmm(bias, bank, alpha).view(n, heads, taps, pixels)

    def add_gradients(self, dplanes: Tensor, into: Mixture) -> None:
        """Add what a map gradient (n, heads, G * G, L) means for the factors to the same block of `into`."""
        heads, taps, base = self.bank.shape
        n, groups, _, pixels = self.alpha.shape
        grad = dplanes.reshape(n * groups, heads // groups * taps, pixels)
        bank = _for_each(n, self.bank.reshape(groups, -1, base))
        into.alpha.add_(torch.bmm(bank.transpose(1, 2), grad).view(into.alpha.shape))
        dbank = torch.bmm(grad, self.alpha.reshape(n * groups, base, pixels).transpose(1, 2))
        into.bank.add_(dbank.view(n, heads, taps, base).sum(0))
        if into.position is not None:
            into.position.add_(dplanes.sum((0, 3)))

    def zeros(self) -> Mixture:
        """Accumulators for the gradients, one per factor."""
        position = None if self.position is None else self.position.new_zeros(self.position.shape)
        return Mixture(self.alpha.new_zeros(self.alpha.shape), self.bank.new_zeros(self.bank.shape), position)


def _for_each(images: int, matrices: Tensor) -> Tensor:
    """(groups, ...) -> (images * groups, ...): without a copy where there is one group."""
    if len(matrices) == 1:
        return matrices.expand(images, -1, -1)
    return matrices.repeat(images, 1, 1)


@torch.library.custom_op("mixspec::aggregate_decomposed", mutates_args=())
def _decomposed(x: Tensor, alpha: Tensor, bank: Tensor, position: Tensor | None, kernel: int, stride: int) -> Tensor:
    window, dtype = window_of(x, bank.shape[0] // kernel**2, kernel, stride), compute_dtype(x)
    out = empty_like_layout(x, (*x.shape[:2], window.out_height, window.out_width))
    if gpu.wanted(x):
        from .gpu import aggregate as kernels

        kernels.forward(x, kernels.factors(alpha, bank, position, window), out, window)
        return out
    if form_of(window, x.device) is NATIVE:
        y = torch.empty_like(out, dtype=dtype)
        native_aggregate.mixed_forward(x, native_aggregate.Source.mixed(alpha, bank, position, dtype), y, window)
        return y.to(x.dtype)
    with without_autocast(x):
        mixture = Mixture.of(alpha, bank, position, window.taps, dtype)
        for block in blocks_of(x, mixture.bank.shape[0], window, dtype):
            forward_block(block.of(x), mixture.part(block).planes(), block.of(out), window)
    return out


@_decomposed.register_fake
def _(x: Tensor, alpha: Tensor, bank: Tensor, position: Tensor | None, kernel: int, stride: int) -> Tensor:
    window = window_of(x, 1, kernel, stride)
    return empty_like_layout(x, (x.shape[0], x.shape[1], window.out_height, window.out_width))


@torch.library.custom_op("mixspec::aggregate_decomposed_backward", mutates_args=())
def _decomposed_backward(
    dy: Tensor, x: Tensor, alpha: Tensor, bank: Tensor, position: Tensor | None, kernel: int, stride: int, need_dx: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    window, dtype = window_of(x, bank.shape[0] // kernel**2, kernel, stride), compute_dtype(x)
    if form_of(window, x.device) is NATIVE:
        source = native_aggregate.Source.mixed(alpha, bank, position, dtype)
        made, factors = native_aggregate.mixed_backward(x, source, dy.to(dtype), window, need_dx)
        total = Mixture(factors.values, cast(Tensor, factors.bank), factors.position)
        return (unused(x) if made is None else made.to(x.dtype), *_as_given(total, alpha, bank, position))
    dx = empty_like_layout(x, tuple(x.shape)) if need_dx else unused(x)
    if gpu.wanted(x):
        total = _by_kernels(dy, x, alpha, bank, position, window, dx if need_dx else None)
        return (dx, *_as_given(total, alpha, bank, position))
    with without_autocast(x):
        form = form_of(window, x.device)
        mixture = Mixture.of(alpha, bank, position, window.taps, dtype)
        total = mixture.zeros()
        for block in blocks_of(x, mixture.bank.shape[0], window, dtype):
            part, grad = mixture.part(block), output_gradient(block.of(dy), dtype, window)
            planes = part.planes()
            if need_dx:
                form.input_gradient(planes, grad, block.of(dx), window)
            form.map_gradient(block.of(x), grad, planes.zero_(), window)
            part.add_gradients(planes, total.part(block))
    return (dx, *_as_given(total, alpha, bank, position))


def _by_kernels(
    dy: Tensor, x: Tensor, alpha: Tensor, bank: Tensor, position: Tensor | None, window: Window, dx: Tensor | None
) -> Mixture:
    """The gradients of the factors from the kernels for GPUs, and that of x written to dx where it is wanted."""
    from .gpu import aggregate as kernels

    source = kernels.factors(alpha, bank, position, window)
    if dx is not None:
        kernels.input_gradient(dy, source, dx, window)
    return Mixture(*kernels.factor_gradients(x, dy, source, window))


def _as_given(total: Mixture, alpha: Tensor, bank: Tensor, position: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients in the shapes and dtypes of what they belong to; zeros where there is no position."""
    given = bank.new_empty(bank.shape[0]) if position is None else position
    dposition = bank.new_zeros(bank.shape[0]) if total.position is None or position is None else total.position
    return (
        total.alpha.view(alpha.shape).to(alpha.dtype, memory_format=layout_of(alpha)),
        total.bank.to(bank.dtype).view(bank.shape),
        dposition.to(given.dtype).view(bank.shape[0]),
    )


@_decomposed_backward.register_fake
def _(
    dy: Tensor, x: Tensor, alpha: Tensor, bank: Tensor, position: Tensor | None, kernel: int, stride: int, need_dx: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    dx = empty_like_layout(x, tuple(x.shape)) if need_dx else unused(x)
    dposition = (bank if position is None else position).new_empty((bank.shape[0],))
    return dx, empty_like_layout(alpha, tuple(alpha.shape)), bank.new_empty(bank.shape), dposition


def _setup(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, Tensor | None, int, int], output: Tensor) -> None:
    x, alpha, bank, position, ctx.kernel, ctx.stride = inputs
    ctx.save_for_backward(x, alpha, bank, position)


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    x, alpha, bank, position = ctx.saved_tensors
    need_dx = ctx.needs_input_grad[0]
    grads = torch.ops.mixspec.aggregate_decomposed_backward(
        dy, x, alpha, bank, position, ctx.kernel, ctx.stride, need_dx
    )
    needed = zip(grads, ctx.needs_input_grad, strict=False)
    return (*(grad if need else None for grad, need in needed), None, None)


_decomposed.register_autograd(_backward, setup_context=_setup)


def _construction_flop(alpha_shape: Shape, bank_shape: Shape) -> int:
    """Floating point operations that build the map once: two per multiply-add, heads * G * G * b of those per pixel."""
    return 2 * alpha_shape[0] * math.prod(alpha_shape[2:]) * math.prod(bank_shape)


@register_flop_formula(torch.ops.mixspec.aggregate_decomposed)
def _decomposed_flop(
    x_shape: Shape,
    alpha_shape: Shape,
    bank_shape: Shape,
    position_shape: Shape | None,
    kernel: int,
    stride: int,
    out_shape: object = None,
) -> int:
    """Construction of the map and its aggregation."""
    return _construction_flop(alpha_shape, bank_shape) + aggregation_flop(x_shape, kernel, stride)


@register_flop_formula(torch.ops.mixspec.aggregate_decomposed_backward)
def _decomposed_backward_flop(
    dy_shape: Shape,
    x_shape: Shape,
    alpha_shape: Shape,
    bank_shape: Shape,
    position_shape: Shape | None,
    kernel: int,
    stride: int,
    need_dx: bool,
    out_shape: object = None,
) -> int:
    """The gradients of both factors, the map once more where dx needs it, and one aggregation per gradient."""
    passes = 1 + need_dx
    construction = (1 + passes) * _construction_flop(alpha_shape, bank_shape)
    return construction + passes * aggregation_flop(x_shape, kernel, stride)
