"""Attention in windows that reads queries, keys and values from a map and writes to one, in place of copies of both.

    y[p] = sum over q in p's window of softmax_q(query[p] . key[q] / sqrt(d) + bias[p, q] + mask[p, q]) * value[q]

head by head. It is the native form alone (`native_attention.cpp`), for CPUs, windows of
up to `MOST` positions and single or double precision; `fits` says whether it can stand in for what torch has. Kept for
backward are the weights.
"""

from __future__ import annotations

from functools import lru_cache
from math import isqrt
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from ..layout import differentiated, tuned
from ..tiling import Tiling
from . import native, native_attention, tiles

MOST = 256
"""Positions of a window, above which torch's attention is as fast."""


def fits(x: Tensor, tiling: Tiling) -> bool:
    """Whether `attend` can take maps like x."""
    return (
        tuned(x)
        and tiling.positions <= MOST
        and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._functorch.is_functorch_wrapped_tensor(x)
        and native.available(x.device)
    )


def attend(qkv: Tensor, tiling: Tiling, head_channels: int, table: Tensor | None = None) -> Tensor:
    """qkv (B, 3 C, H, W): queries, keys and values of all heads one after another, on a map of whole windows; table
    ((2 w - 1)^2, heads) of biases, see `tiles.position_bias`, or None. Returns (B, C, H, W), channels last.
    """
    keep = differentiated(qkv, *([] if table is None else [table]))
    y: Tensor = _Attended.apply(qkv, table, tiling, head_channels, keep)[0]
    return y


def plainly(qkv: Tensor, table: Tensor | None, tiling: Tiling, head_channels: int) -> Tensor:
    """`attend` in torch's operations, which can be differentiated as often as one likes."""
    order, bias, mask = _places(tiling, qkv.device), _bias(table, tiling), _mask(tiling, qkv.dtype)
    windows, positions = order.shape
    tokens = qkv.flatten(2).index_select(2, order.flatten()).unflatten(2, (windows, positions))
    heads = tokens.unflatten(1, (3, -1, head_channels))
    q, k, v = heads.permute(1, 0, 4, 2, 5, 3).unbind(0)  # (B, windows, heads, positions, d)
    logits = q @ k.transpose(-1, -2) * head_channels**-0.5
    logits = logits if bias is None else logits + bias
    logits = logits if mask is None else logits + mask[:, None]
    y = (logits.softmax(-1) @ v).permute(0, 2, 4, 1, 3).flatten(3).flatten(1, 2)
    return y.index_select(2, order.flatten().argsort()).unflatten(2, qkv.shape[2:])


@lru_cache(maxsize=64)
def _places(tiling: Tiling, device: torch.device) -> Tensor:
    """Which position of the map each position of each window is: (windows, positions)."""
    return tiles.order(tiling, device).view(tiling.count, tiling.positions)


@lru_cache(maxsize=16)
def _mask(tiling: Tiling, dtype: torch.dtype) -> Tensor | None:
    """What is added to the logits of shifted windows: (windows, positions, positions)."""
    if not tiling.shifted:
        return None
    with torch.inference_mode(False):  # held beyond the call, it must not be bound to its mode
        return tiles.shift_mask(tiling, torch.empty((), dtype=dtype))[:, 0].contiguous()


def _bias(table: Tensor | None, tiling: Tiling) -> Tensor | None:
    """What is added to the logits of every window: (heads, positions, positions)."""
    return None if table is None else tiles.position_bias(table, (isqrt(len(table)) + 1) // 2, tiling)


class _Attended(torch.autograd.Function):
    @staticmethod
    def forward(
        qkv: Tensor, table: Tensor | None, tiling: Tiling, head_channels: int, keep: bool
    ) -> tuple[Tensor, Tensor]:
        order, bias, mask = _places(tiling, qkv.device), _bias(table, tiling), _mask(tiling, qkv.dtype)
        y, kept = torch.ops.mixspec.attend(qkv, order, bias, mask, head_channels, keep)
        return y, kept

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        qkv, table, ctx.tiling, ctx.head_channels, _ = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(qkv, table, output[1])

    @staticmethod
    def backward(ctx: Any, dy: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        (qkv, table, kept), need_dtable = ctx.saved_tensors, ctx.needs_input_grad[1]
        if torch.is_grad_enabled():  # the gradient itself will be differentiated
            wanted = [qkv, table] if need_dtable else [qkv]
            y = plainly(qkv, table, ctx.tiling, ctx.head_channels)
            dqkv, *dtable = torch.autograd.grad(y, wanted, dy, create_graph=True)
            return dqkv, dtable[0] if need_dtable else None, None, None, None
        order = _places(ctx.tiling, qkv.device)
        dqkv, dbias = torch.ops.mixspec.attend_backward(dy, qkv, order, kept, ctx.head_channels, need_dtable)
        return dqkv, _table_gradient(table, ctx.tiling, dbias) if need_dtable else None, None, None, None


def _table_gradient(table: Tensor, tiling: Tiling, dbias: Tensor) -> Tensor:
    with torch.enable_grad():
        leaf = table.detach().requires_grad_()
        bias = _bias(leaf, tiling)
        assert bias is not None, "there is a table"
        return torch.autograd.grad(bias, leaf, dbias)[0]


# as `torch.library.custom_op` would, which loads torch._dynamo when it is first called
_library = torch.library.Library("mixspec", "FRAGMENT")
_library.define(
    "attend(Tensor qkv, Tensor order, Tensor? bias, Tensor? mask, int head_channels, bool keep) -> (Tensor, Tensor)"
)
_library.define(
    "attend_backward(Tensor dy, Tensor qkv, Tensor order, Tensor kept, int head_channels, bool need_dbias) "
    "-> (Tensor, Tensor)"
)
_library.impl("attend", native_attention.attend, "CPU")
_library.impl("attend_backward", native_attention.attend_backward, "CPU")


@register_flop_formula(torch.ops.mixspec.attend)
def _flop(qkv: Any, order: Any, *_arguments: object, out_shape: object = None) -> int:
    """Two products of windows with themselves."""
    return 4 * qkv[0] * (qkv[1] // 3) * order[0] * order[1] ** 2


@register_flop_formula(torch.ops.mixspec.attend_backward)
def _flop_backward(dy: Any, qkv: Any, order: Any, *_arguments: object, out_shape: object = None) -> int:
    """Twice as many, as other tools count; the weights made again are not counted."""
    return 8 * dy[0] * dy[1] * order[0] * order[1] ** 2
