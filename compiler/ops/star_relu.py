"""StarReLU in one pass over the map, or two where there is no C++ compiler, in place of four, and as many less in
backward. arXiv:2210.13452, section 3.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from . import native_star_relu


def star_relu(x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """scale * relu(x)^2 + bias with scalars (1,), in the dtype and layout of x; for CPUs, where scalars are read at no
    cost. It keeps x alone for backward, and can be differentiated twice.
    """
    y: Tensor = _StarReLU.apply(x, scale, bias)
    return y


class _StarReLU(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        if _natively(x):
            return native_star_relu.star_relu(x, scale.item(), bias.item())
        y = F.relu(x)
        return torch.addcmul(bias.to(y.dtype), y, y, value=scale.item())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        x, scale, _ = inputs
        ctx.save_for_backward(x, scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        x, scale = ctx.saved_tensors
        _, need_scale, need_bias = ctx.needs_input_grad
        if torch.is_grad_enabled():  # the gradient itself will be differentiated: nothing in place
            y = F.relu(x)
            dscale = (grad * y.square()).sum().view(1) if need_scale else None
            return (
                2 * scale.to(x.dtype) * y * grad,
                _like(dscale, scale),
                _like(grad.sum().view(1), scale) if need_bias else None,
            )
        if _natively(x) and grad.dtype == x.dtype:
            dx, square, plain = native_star_relu.star_relu_backward(x, grad, scale.item())
            return (
                dx,
                scale.new_full((1,), square) if need_scale else None,
                scale.new_full((1,), plain) if need_bias else None,
            )
        risen = torch.ops.aten.threshold_backward(grad, x, 0.0).mul_(x)
        dscale = _dot(risen, x).view(1) if need_scale else None
        dbias = grad.sum().view(1) if need_bias else None
        return risen.mul_(2 * scale.item()), _like(dscale, scale), _like(dbias, scale)


def _natively(x: Tensor) -> bool:
    return not torch._C._functorch.is_functorch_wrapped_tensor(x) and native_star_relu.fits(x)


def _like(gradient: Tensor | None, scale: Tensor) -> Tensor | None:
    return None if gradient is None else gradient.to(scale.dtype)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """The sum of all products, read as both lie in memory."""
    dense = a.is_contiguous() or a.is_contiguous(memory_format=torch.channels_last)
    if a.stride() != b.stride() or not dense or a.dtype not in (torch.float32, torch.float64):
        return (a * b).sum()
    return torch.dot(a.as_strided((a.numel(),), (1,)), b.as_strided((b.numel(),), (1,)))
