"""The native form of StarReLU: `native_star_relu.cpp`, where there is a C++ compiler (see `native`)."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from . import native

SHARE = [ctypes.c_long] * 2


def fits(x: Tensor) -> bool:
    """Whether this form can take x: numbers of one of the two types, without holes between them."""
    dense = x.is_contiguous() or (x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last))
    return dense and x.dtype in (torch.float32, torch.float64) and native.available(x.device)


def star_relu(x: Tensor, scale: float, bias: float) -> Tensor:
    """scale * relu(x)^2 + bias in the layout of x."""
    y = torch.empty_like(x)
    function = native.function("star_relu", x.dtype, [*[ctypes.c_void_p] * 2, *[ctypes.c_double] * 2, *SHARE])
    pointers = x.data_ptr(), y.data_ptr()
    native.spread(lambda first, last: function(*pointers, scale, bias, first, last), x.numel())
    return y


def star_relu_backward(x: Tensor, grad: Tensor, scale: float) -> tuple[Tensor, float, float]:
    """The gradients of x, of the scale and of the bias."""
    dx = torch.empty_like(x)
    grad = grad if grad.stride() == x.stride() else torch.empty_like(x).copy_(grad)
    arguments = [*[ctypes.c_void_p] * 3, ctypes.c_double, ctypes.POINTER(ctypes.c_double), *SHARE]
    function = native.function("star_relu_backward", x.dtype, arguments)
    pointers = x.data_ptr(), grad.data_ptr(), dx.data_ptr()

    def part(first: int, last: int) -> tuple[float, float]:
        sums = (ctypes.c_double * 2)()
        function(*pointers, scale, sums, first, last)
        return sums[0], sums[1]

    dscale, dbias = map(sum, zip(*native.spread(part, x.numel()), strict=True))
    return dx, float(dscale), float(dbias)
