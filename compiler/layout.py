"""How a network runs on the device at hand: the memory layout of its maps and the form of its layers.

Decided at every call, from what is measured in docs/speed.md, section Decisions. A decision changes neither a weight
nor its name, and outputs by rounding alone. It concerns CPUs; elsewhere, and in what torch.compile or torch.export
make, layers run as they are written, since a compiler decides for itself. :func:`plain` switches all of it off.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional as F

FEW_ROWS = 512
"""Positions of a batch below which the weights' conversion costs a 1x1 convolution more than it gains."""

_on = True


@contextmanager
def plain() -> Iterator[None]:
    """Run every layer as it is written: for comparisons, and for who looks at each operation."""
    global _on
    before, _on = _on, False
    try:
        yield
    finally:
        _on = before


def tuned(x: Tensor) -> bool:
    """Whether layers may choose their form for this tensor."""
    return _on and type(x) is Tensor and x.device.type == "cpu" and not torch.compiler.is_compiling()


def entering(x: Tensor) -> Tensor:
    """Images (B, C, H, W) in the layout in which a network's convolutions and norms run fastest: channels last."""
    return x.contiguous(memory_format=torch.channels_last) if tuned(x) else x


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A linear map (C', C) of the channels of (B, C, H, W), as a 1x1 convolution or as a matrix product.

    The convolution is oneDNN's, which torch calls with two threads and more, and up to twice as fast as the matrix
    product; without it torch would copy the map.
    """
    if tuned(x) and _few(x) and x.is_contiguous(memory_format=torch.channels_last):
        return F.linear(x.permute(0, 2, 3, 1), weight, bias).permute(0, 3, 1, 2)
    return F.conv2d(x, weight[:, :, None, None], bias)


def _few(x: Tensor) -> bool:
    return torch.get_num_threads() == 1 or x.shape[0] * x.shape[2] * x.shape[3] <= FEW_ROWS


def differentiated(*tensors: Tensor) -> bool:
    """Whether autograd will ask for a gradient of what is computed from these."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
