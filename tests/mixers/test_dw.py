from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.dw import DW

AT = Grid(7, 6, 8)


def reference(x: Tensor, kernels: Tensor, stride: int) -> Tensor:
    """One channel and one output at a time; ``kernels`` (heads, 1, k, k)."""
    side, (batch, c, h, w) = kernels.shape[-1], x.shape
    padded = torch.nn.functional.pad(x, (side // 2, side, side // 2, side))
    y = x.new_empty(batch, c, -(-h // stride), -(-w // stride))
    for channel in range(c):
        kernel = kernels[channel * len(kernels) // c, 0]
        for i in range(y.shape[2]):
            for j in range(y.shape[3]):
                window = padded[:, channel, i * stride :, j * stride :][:, :side, :side]
                y[:, channel, i, j] = (window * kernel).sum((1, 2))
    return y


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("head_channels", [1, 4, "all"])
@pytest.mark.parametrize("kernel", [3, 4])
def test_neighbouring_channels_share_a_kernel(kernel: int, head_channels: int | Literal["all"], stride: int) -> None:
    mixer = DW(kernel=kernel, head_channels=head_channels, stride=stride)
    module = lower_layer(mixer, AT, dtype=torch.float64)
    weight = module.conv.weight if head_channels == 1 else module.weight
    assert len(weight) == (1 if head_channels == "all" else 8 // head_channels)
    x = torch.randn(2, 8, 7, 6, dtype=torch.float64, requires_grad=True)
    actual, expected = module(x), reference(x, weight, stride)
    torch.testing.assert_close(actual, expected)
    direction = torch.randn_like(actual)
    gradients = [torch.autograd.grad(y, (x, weight), direction) for y in (actual, expected)]
    torch.testing.assert_close(*gradients)


def test_a_bias_belongs_to_a_channel() -> None:
    for head_channels in (1, 4):
        module = lower_layer(DW(head_channels=head_channels, bias=True), AT)
        bias = module.conv.bias if head_channels == 1 else module.bias
        with torch.no_grad():
            bias.copy_(torch.arange(8.0))
            y = module(torch.zeros(1, 8, 7, 6))
        assert torch.equal(y, torch.arange(8.0).view(1, 8, 1, 1).expand(1, 8, 7, 6))


def test_one_kernel_costs_as_much_work_as_many() -> None:
    one, many = (cost(DW(kernel=5, head_channels=head), AT) for head in ("all", 1))
    assert one.params == 25 and many.params == 25 * 8
    assert one.macs == many.macs == 25 * 7 * 6 * 8
