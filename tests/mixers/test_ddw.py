"""Dynamic depth-wise convolution: kernels of the image at hand, and the published size of a block."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.ddw import DynamicDepthwise


def built(mixer: DynamicDepthwise, c: int = 8) -> nn.Module:
    torch.manual_seed(0)
    module = lower_layer(mixer, Grid(6, 5, c), dtype=torch.float64)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def reference(module: nn.Module, x: Tensor, side: int) -> Tensor:
    """One image and one channel at a time."""
    kernels = module.span(torch.relu(module.norm(module.reduce(x.mean((2, 3), keepdim=True)))))
    kernels = kernels.view(x.shape[0], x.shape[1], 1, 1, side, side)
    rows = [
        torch.stack(
            [
                nn.functional.conv2d(plane[None], kernel, padding=side // 2)[0]
                for plane, kernel in zip(image, own, strict=True)
            ]
        )
        for image, own in zip(x, kernels, strict=True)
    ]
    return torch.stack(rows) + module.bias[:, None, None]


@pytest.mark.parametrize("training", [False, True])
def test_equals_the_definition(training: bool) -> None:
    mixer = DynamicDepthwise(kernel=5)
    module = built(mixer).train(training)
    x = torch.randn(3, 8, 6, 5, dtype=torch.float64, requires_grad=True)
    actual, expected = module(x), reference(module, x, 5)
    torch.testing.assert_close(actual, expected)
    leaves, weight = (x, *module.parameters()), torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(actual, leaves, weight), torch.autograd.grad(expected, leaves, weight)
    )


def test_holds_what_the_paper_s_block_holds():
    c = 96
    assert (
        cost(DynamicDepthwise(), Grid(56, 56, c)).params == c * c // 4 + 2 * (c // 4) + 49 * c * (c // 4) + 49 * c + c
    )


def test_the_reduction_divides_the_channels():
    assert [p.what for p in DynamicDepthwise(reduction=5).check(Grid(7, 7, 96))] == ["r=5 does not divide 96 channels"]
