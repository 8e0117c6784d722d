"""The native form of attention in windows: `native_attention.cpp`, where there is a C++ compiler (see `native`)."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from . import native
from .numerics import unused


class _Sizes(ctypes.Structure):
    """`AttendSizes` of native_attention.cpp."""

    _fields_ = [
        *((name, ctypes.c_long) for name in ("places", "windows", "positions", "heads", "width", "row")),
        ("scale", ctypes.c_double),
    ]

    @classmethod
    def of(cls, qkv: Tensor, order: Tensor, width: int) -> _Sizes:
        return cls(order.numel(), *order.shape, qkv.shape[1] // 3 // width, width, _row(order.shape[1]), width**-0.5)


LANES = 16
SHARE, SIZES = [ctypes.c_long] * 2, ctypes.POINTER(_Sizes)


def attend(
    qkv: Tensor, order: Tensor, bias: Tensor | None, mask: Tensor | None, width: int, keep: bool
) -> tuple[Tensor, Tensor]:
    """qkv (B, 3 C, H, W), order (windows, positions), bias (heads, positions, positions), mask (windows, positions,
    positions). Returns (B, C, H, W), and the weights, where backward will want them.
    """
    qkv, sizes = _last(qkv), _Sizes.of(qkv, order, width)
    y, kept = empty(qkv, order, width, keep)
    bias, mask = (None if one is None else _by_keys(one.to(qkv.dtype)) for one in (bias, mask))
    pointers = [_at(one) for one in (qkv, order, bias, mask, y, kept if keep else None)]
    function = native.function("attend", qkv.dtype, [*[ctypes.c_void_p] * 6, *SHARE, SIZES])
    native.spread(lambda first, last: function(*pointers, first, last, sizes), _items(qkv, sizes))
    return y, kept


def attend_backward(
    dy: Tensor, qkv: Tensor, order: Tensor, weights: Tensor, width: int, need_dbias: bool
) -> tuple[Tensor, Tensor]:
    """Gradients of qkv and of the bias, from that of the result and from the weights."""
    dy, qkv, sizes = _last(dy), _last(qkv), _Sizes.of(qkv, order, width)
    dqkv, dbias = empty_gradients(qkv, order, width, need_dbias)
    before = [_at(one) for one in (qkv, order, dy, weights, dqkv)]
    function = native.function("attend_backward", qkv.dtype, [*[ctypes.c_void_p] * 6, *SHARE, SIZES])

    def part(first: int, last: int) -> Tensor | None:
        own = qkv.new_zeros((sizes.heads, sizes.positions, sizes.row)) if need_dbias else None
        function(*before, _at(own), first, last, sizes)
        return own

    for own in native.spread(part, _items(qkv, sizes)):
        if own is not None:
            dbias += own[..., : sizes.positions].transpose(1, 2)
    return dqkv, dbias


def empty(qkv: Tensor, order: Tensor, width: int, keep: bool) -> tuple[Tensor, Tensor]:
    """The result of `attend`, to be filled."""
    (batch, c, height, columns), (windows, positions) = qkv.shape, order.shape
    y = qkv.new_empty((batch, height, columns, c // 3)).permute(0, 3, 1, 2)
    weights = qkv.new_empty((batch, windows, c // 3 // width, positions, positions)) if keep else unused(qkv)
    return y, weights


def empty_gradients(qkv: Tensor, order: Tensor, width: int, need_dbias: bool) -> tuple[Tensor, Tensor]:
    """The result of `attend_backward`, to be filled."""
    positions, heads = order.shape[1], qkv.shape[1] // 3 // width
    dqkv = qkv.new_empty(qkv.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
    return dqkv, qkv.new_zeros((heads, positions, positions)) if need_dbias else unused(qkv)


def _items(qkv: Tensor, sizes: Any) -> int:
    """Heads of windows of images."""
    return qkv.shape[0] * int(sizes.windows * sizes.heads)


def _row(positions: int) -> int:
    """Numbers in a row of bias and mask: whole vectors of any processor."""
    return -(-positions // LANES) * LANES


def _by_keys(table: Tensor) -> Tensor:
    """(N, positions, positions), a key's numbers for all queries side by side, with zeros behind them."""
    positions = table.shape[1]
    return pad(table.transpose(1, 2), (0, _row(positions) - positions)).contiguous()


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _at(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
