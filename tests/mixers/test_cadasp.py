from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, unfold

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.cadasp import CADAsp

AT = Grid(6, 5, 8)


def built(mixer: CADAsp) -> nn.Module:
    torch.manual_seed(0)
    module = lower_layer(mixer, AT, dtype=torch.float64)
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.5)
    return module.train()


def reference(mixer: CADAsp, module: nn.Module, x: Tensor) -> Tensor:
    """One set of coefficients; every head by itself, its map held in full."""
    heads, g, s = len(module.bank.weight) // mixer.kernel**2, mixer.kernel, mixer.stride
    alpha = conv2d(x, module.context.weight, stride=s, padding=mixer.context_kernel // 2)
    if mixer.net != "B":
        alpha = normed(alpha, module.norm)
    if mixer.net == "C":
        alpha = normed(conv2d(alpha, module.mix.weight), module.norm2)
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
@pytest.mark.parametrize("net", ["A", "B", "C"])
@pytest.mark.parametrize("head_channels", [1, 4, "all"])
def test_is_the_mixture_of_the_paper_s_first_equation(
    head_channels: int | Literal["all"], net: Literal["A", "B", "C"], stride: int
) -> None:
    mixer = CADAsp(base_kernels=3, context_kernel=3, kernel=5, head_channels=head_channels, net=net, stride=stride)
    module, x = built(mixer), torch.randn(2, 8, 6, 5, dtype=torch.float64, requires_grad=True)
    actual, expected = module(x), reference(mixer, module, x)
    torch.testing.assert_close(actual, expected)
    leaves, direction = (x, *module.parameters()), torch.randn_like(expected)
    gradients = [torch.autograd.grad(y, leaves, direction) for y in (actual, expected)]
    torch.testing.assert_close(*gradients)


def test_without_the_position_kernel_nothing_is_added() -> None:
    with_kernel, without = (built(CADAsp(base_kernels=2, head_channels=4, position=on)) for on in (True, False))
    without.load_state_dict({key: v for key, v in with_kernel.state_dict().items() if key != "bank.bias"})
    x = torch.randn(2, 8, 6, 5, dtype=torch.float64)
    static = with_kernel.bank.bias.view(2, 1, 7, 7).repeat_interleave(4, 0)
    torch.testing.assert_close(with_kernel(x), without(x) + conv2d(x, static, padding=3, groups=8))


def test_coefficients_of_network_a_are_not_negative_and_come_from_the_context() -> None:
    mixer = CADAsp(base_kernels=2, head_channels=4, context_kernel=3, kernel=7)
    module = built(mixer).eval()
    x = torch.randn(1, 8, 6, 5, dtype=torch.float64)
    alpha = module.act(module.norm(module.context(x)))
    assert alpha.min() >= 0
    far = x.clone()
    far[:, :, 4:] += 1
    assert torch.equal(module.act(module.norm(module.context(far)))[:, :, :3], alpha[:, :, :3])


def test_counts_of_the_closed_form() -> None:
    c, b, heads, taps, pixels = 64, 4, 8, 49, 14 * 14
    counted = cost(CADAsp(base_kernels=b, head_channels=8, stride=2), Grid(28, 28, c))
    assert counted.params == 9 * b * c + 2 * b + taps * heads * (b + 1)
    assert counted.macs == pixels * (9 * b * c + taps * heads * b + taps * c)


def test_heads_divide_the_channels() -> None:
    (problem,) = CADAsp(head_channels=3).check(AT)
    assert problem.code == "MX203" and problem.where == ("head_channels",)
    assert problem.what == "Ch=3 does not divide 8 channels"
