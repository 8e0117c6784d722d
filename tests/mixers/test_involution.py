from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, batch_norm, conv2d, unfold

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.involution import Involution

AT = Grid(6, 7, 8)


@pytest.mark.parametrize("stride", [1, 2])
def test_equals_the_definition(stride: int) -> None:
    module = lower_layer(Involution(kernel=5, head_channels=4, stride=stride), AT, dtype=torch.float64)
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.5)
    x = torch.randn(2, 8, 6, 7, dtype=torch.float64, requires_grad=True)
    near = avg_pool2d(x, 2, 2, ceil_mode=True) if stride == 2 else x
    hidden = torch.relu(batch_norm(conv2d(near, module.reduce.weight), None, None, *module.norm.parameters(), True))
    kernels = conv2d(hidden, module.span.weight, module.span.bias)
    kernels = kernels.view(2, 2, 1, 25, *kernels.shape[2:])
    windows = unfold(x, 5, padding=2, stride=stride).view(2, 2, 4, 25, *kernels.shape[4:])
    actual, expected = module(x), (kernels * windows).sum(3).flatten(1, 2)
    torch.testing.assert_close(actual, expected)
    leaves, direction = (x, *module.parameters()), torch.randn_like(expected)
    gradients = [torch.autograd.grad(y, leaves, direction) for y in (actual, expected)]
    torch.testing.assert_close(*gradients)


def test_counts_of_the_closed_form() -> None:
    c, pixels, heads = 256, 14 * 14, 16
    counted = cost(Involution(), Grid(14, 14, c))
    assert counted.params == c * c // 4 + c // 2 + 49 * heads * (c // 4 + 1)
    assert counted.macs == pixels * (c * c // 4 + 49 * heads * (c // 4) + 49 * c)


def test_says_what_does_not_divide() -> None:
    problems = list(Involution(head_channels=3, reduction=5).check(AT))
    assert [p.where for p in problems] == [("head_channels",), ("reduction",)]
