"""Convolutions and linear maps for inference that apply an activation to what they have just computed, while it is in
the processor's cache: oneDNN's post-operations. Compiled, exported, differentiated, or off the CPU, they are two steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..layout import differentiated, tuned

NOTHING = "nothing"
POST: dict[str, tuple[str, str]] = {
    "relu": ("relu", ""),
    "gelu": ("gelu", "none"),
    "silu": ("swish", ""),
    NOTHING: ("none", ""),
}
"""oneDNN's name of an activation, and its algorithm."""


class ActivatedConv(nn.Conv2d):
    """A convolution with zero padding, and an activation or nothing: then it is oneDNN's for small kernels too, which
    torch leaves to a slower one where there is one thread.
    """

    then: str

    def forward(self, input: Tensor) -> Tensor:
        if fits(input, self.weight):
            return fused(input, self.weight, self, self.then)
        return apply(self.then, super().forward(input))


class ActivatedPointwise(nn.Linear):
    """A linear map over the channels of maps (B, C, H, W) or vectors (B, C), and an activation or nothing."""

    then: str

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != 4:
            return apply(self.then, F.linear(input, self.weight, self.bias))
        if fits(input, self.weight) and input.is_contiguous(memory_format=torch.channels_last):
            return mapped(input, self.weight, self.bias, self.then)
        return apply(self.then, F.conv2d(input, self.weight[:, :, None, None], self.bias))


class Squared(nn.Module):
    """What is left of StarReLU behind a convolution that applies the ReLU: scale * x^2 + bias, written over x."""

    scale: Tensor
    bias: Tensor

    def __init__(self, scale: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        if not tuned(x) or x.dtype != self.scale.dtype or differentiated(x):
            return self.scale * x.square() + self.bias
        return torch.addcmul(self.bias, x, x, value=self.scale.item(), out=x)


def fits(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN can take the convolution and its activation as one."""
    return (
        tuned(x)
        and x.dtype == weight.dtype
        and x.dtype in (torch.float32, torch.bfloat16)
        and bool(torch.backends.mkldnn.enabled)
        and torch.backends.mkldnn.is_available()
        and not torch.is_autocast_enabled("cpu")
        and not differentiated(x, weight)
    )


def fused(x: Tensor, weight: Tensor, conv: Any, then: str) -> Tensor:
    """The convolution with the settings of ``conv``, and the activation."""
    name, algorithm = POST[then]
    y: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x, weight, conv.bias, conv.padding, conv.stride, conv.dilation, conv.groups, name, [], algorithm or None
    )
    return y


def mapped(x: Tensor, weight: Tensor, bias: Tensor | None, then: str) -> Tensor:
    """The linear map of (B, C, H, W), channels last, and the activation."""
    name, algorithm = POST[then]
    tokens = x.permute(0, 2, 3, 1)
    y: Tensor = torch.ops.mkldnn._linear_pointwise(tokens, weight, bias, name, [], algorithm or None)
    return y.permute(0, 3, 1, 2)


def apply(then: str, x: Tensor) -> Tensor:
    """The activation by its name."""
    y: Tensor = x if then == NOTHING else getattr(F, then)(x)
    return y
