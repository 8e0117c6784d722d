"""Convolutions and linear maps for inference that apply an activation to what they have just computed, while it is in
the processor's cache: oneDNN's post-operations. Compiled, exported, differentiated, or off the CPU, they are two steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..layout import differentiated, tuned

POST: dict[str, tuple[str, str]] = {"relu": ("relu", ""), "gelu": ("gelu", "none"), "silu": ("swish", "")}
"""oneDNN's name of an activation, and its algorithm."""


class ActivatedConv(nn.Conv2d):
    """A convolution with zero padding, and an activation."""

    then: str

    def forward(self, input: Tensor) -> Tensor:
        if fits(input, self.weight):
            return fused(input, self.weight, self, self.then)
        return apply(self.then, super().forward(input))


class ActivatedPointwise(nn.Linear):
    """A linear map over the channels of maps (B, C, H, W) or vectors (B, C), and an activation."""

    then: str
    stride, padding, dilation, groups = (1, 1), (0, 0), (1, 1), 1

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != 4:
            return apply(self.then, F.linear(input, self.weight, self.bias))
        weight = self.weight[:, :, None, None]
        if fits(input, weight):
            return fused(input, weight, self, self.then)
        return apply(self.then, F.conv2d(input, weight, self.bias))


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


def apply(then: str, x: Tensor) -> Tensor:
    """The activation by its name."""
    y: Tensor = getattr(F, then)(x)
    return y
