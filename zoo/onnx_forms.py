"""Aggregation in ONNX: shifted maps, multiplied and summed.

Written with ONNX's operators and not as a decomposition, since a window of 9x9 is hundreds of nodes in every block and
tracing each of them takes ten times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch


@cache
def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Our operators that have an ONNX form of their own, as ``torch.onnx.export`` takes them."""
    ours: Any = torch.ops.mixspec
    return {ours.aggregate.default: aggregate, ours.aggregate_decomposed.default: aggregate_decomposed}


def aggregate(x: Any, maps: Any, kernel: int, stride: int) -> Any:
    """`ops.aggregate` on values of an ONNX graph: x (B, C, H, W), maps (B or 1, heads * G * G, Ho or 1, Wo or 1)."""
    from onnxscript import opset18 as op

    (_, channels, height, width), taps = x.shape, kernel**2
    heads, out = maps.shape[1] // taps, (-(-height // stride), -(-width // stride))
    low, high = kernel // 2, (kernel - 1) // 2
    padded = op.Pad(x, _list([0, 0, low, low, 0, 0, high, high]))
    padded = op.Reshape(padded, _list([-1, heads, channels // heads, height + kernel - 1, width + kernel - 1]))
    weights = op.Reshape(maps, _list([-1, heads, taps, maps.shape[2], maps.shape[3]]))
    each = op.Split(weights, axis=2, num_outputs=taps) if taps > 1 else [weights]
    axes, steps = _list([3, 4]), _list([stride, stride])
    total: Any = None
    for tap in range(taps):
        first = divmod(tap, kernel)
        last = [start + (size - 1) * stride + 1 for start, size in zip(first, out, strict=True)]
        term = op.Mul(op.Slice(padded, _list(list(first)), _list(last), axes, steps), each[tap])
        total = term if total is None else op.Add(total, term)
    return op.Reshape(total, _list([-1, channels, *out]))


def aggregate_decomposed(x: Any, alpha: Any, bank: Any, position: Any, kernel: int, stride: int) -> Any:
    """`ops.aggregate_decomposed` on values of an ONNX graph: the map is made by a 1x1 convolution."""
    from onnxscript import opset18 as op

    maps = op.Conv(alpha, bank, position, group=alpha.shape[1] // bank.shape[1])
    maps.shape = type(alpha.shape)([alpha.shape[0], bank.shape[0], alpha.shape[2], alpha.shape[3]])
    return aggregate(x, maps, kernel, stride)


def _list(values: list[int]) -> Any:
    from onnxscript import opset18 as op

    return op.Constant(value_ints=values)
