"""Inhomogeneous dynamic convolution: a kernel from every position, and the published size of a block."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.idynamic import InhomogeneousDynamic


def reference(module: nn.Module, x: Tensor, groups: int, side: int) -> Tensor:
    """The neighbourhood of every position, unfolded, times its kernels."""
    kernels = module.span(torch.relu(module.norm(module.reduce(x)))).flatten(2).unflatten(1, (groups, 1, side**2))
    patches = nn.functional.unfold(x, side, padding=side // 2).unflatten(1, (groups, -1, side**2))
    return (patches * kernels).sum(3).view(x.shape)


def test_equals_the_definition():
    torch.manual_seed(0)
    module = lower_layer(InhomogeneousDynamic(kernel=3, groups=4), Grid(6, 5, 8), dtype=torch.float64)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    x = torch.randn(2, 8, 6, 5, dtype=torch.float64, requires_grad=True)
    actual, expected = module.eval()(x), reference(module, x, 4, 3)
    torch.testing.assert_close(actual, expected)
    leaves, weight = (x, *module.parameters()), torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(actual, leaves, weight), torch.autograd.grad(expected, leaves, weight)
    )


def test_holds_what_the_paper_s_block_holds():
    c, groups, at = 96, 32, Grid(56, 56, 96)
    mixer = InhomogeneousDynamic()
    assert cost(mixer, at).params == c * c // 4 + c // 4 + 2 * (c // 4) + 49 * groups * (c // 4) + 49 * groups
    assert mixer.tally(at)["aggregation"] == mixer.macs(at) == at.size * 49


def test_groups_divide_the_channels():
    assert [p.what for p in InhomogeneousDynamic().check(Grid(7, 7, 48))] == ["G=32 does not divide 48 channels"]
