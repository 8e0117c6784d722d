from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, unfold

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.dasp import DAsp

AT = Grid(6, 5, 8)


def built(mixer: DAsp) -> nn.Module:
    torch.manual_seed(0)
    module = lower_layer(mixer, AT, dtype=torch.float64)
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.5)
    return module.train()


def reference(mixer: DAsp, module: nn.Module, x: Tensor) -> Tensor:
    """Coefficients that all heads share, the maps held in full."""
    heads, g, s = len(module.bank.weight) // mixer.kernel**2, mixer.kernel, mixer.stride
    alpha = module.weight
    if mixer.net == "F":
        alpha = conv2d(alpha, module.context.weight, stride=s, padding=1)
    if mixer.net != "E":
        alpha = normed(alpha, module.norm)
    out = []
    for head, own in enumerate(x.chunk(heads, 1)):
        taps = slice(head * g * g, (head + 1) * g * g)
        kernels = torch.einsum("ki,bihw->bkhw", module.bank.weight[taps, :, 0, 0], alpha)
        kernels = kernels + module.bank.bias[taps, None, None]
        windows = unfold(own, g, padding=g // 2, stride=s).view(len(x), own.shape[1], g * g, *alpha.shape[2:])
        out.append((windows * kernels[:, None]).sum(2))
    return torch.cat(out, 1)


def normed(x: Tensor, norm: nn.Module) -> Tensor:
    return torch.relu(batch_norm(x, None, None, norm.weight, norm.bias, training=True))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("net", ["D", "E", "F"])
@pytest.mark.parametrize("head_channels", [1, 4, "all"])
def test_mixes_by_learnt_coefficients(
    head_channels: int | Literal["all"], net: Literal["D", "E", "F"], stride: int
) -> None:
    mixer = DAsp(base_kernels=3, kernel=5, head_channels=head_channels, net=net, stride=stride)
    module, x = built(mixer), torch.randn(2, 8, 6, 5, dtype=torch.float64, requires_grad=True)
    actual, expected = module(x), reference(mixer, module, x)
    torch.testing.assert_close(actual, expected)
    leaves, direction = (x, *module.parameters()), torch.randn_like(expected)
    gradients = [torch.autograd.grad(y, leaves, direction) for y in (actual, expected)]
    torch.testing.assert_close(*gradients)


def test_is_linear_in_its_input() -> None:
    module = built(DAsp(head_channels=4)).eval()
    x, y = torch.randn(2, 3, 8, 6, 5, dtype=torch.float64).unbind(0)
    torch.testing.assert_close(module(x + 2 * y), module(x) + 2 * module(y))


def test_counts_of_the_closed_form() -> None:
    c, b, heads, taps, pixels = 64, 4, 8, 49, 14 * 14
    hidden = b
    counted = cost(DAsp(base_kernels=b, head_channels=8, net="D"), Grid(14, 14, c))
    assert counted.params == hidden * pixels + 2 * hidden + taps * heads * (b + 1)
    assert counted.macs == pixels * (taps * heads * b + taps * c)


def test_the_size_is_fixed_once_settled() -> None:
    mixer = DAsp(head_channels=4).settle(1, AT)
    assert (mixer.height, mixer.width) == (6, 5) and not list(mixer.check(AT))
    problems = list(mixer.check(Grid(6, 7, 8)))
    assert [(p.code, p.where) for p in problems] == [("MX204", ("width",))]
    assert "5" in problems[0].what and "7" in problems[0].what
