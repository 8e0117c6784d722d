"""CvT's attention without a class token, against the sum spelt out in float64, with gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.convattention import ConvAttention

C, WIDTH = 12, 4


def naive(m: nn.Module, x: Tensor, stride: int, residual: bool) -> Tensor:
    """Query by query: every head's softmax over all keys."""
    rows = {}
    for name in "qkv":
        step = 1 if name == "q" else stride
        conv, norm, linear = (getattr(m, f"{name}_{part}") for part in ("conv", "norm", "linear"))
        y = conv2d(x, conv.weight, stride=step, padding=conv.weight.shape[2] // 2, groups=C)
        y = (y - norm.running_mean[:, None, None]) / (norm.running_var[:, None, None] + 1e-5).sqrt()
        y = y * norm.weight[:, None, None] + norm.bias[:, None, None]
        tokens = torch.einsum("oc,bchw->bhwo", linear.weight, y).flatten(1, 2) + linear.bias
        if residual:
            means = [
                x[:, :, i : i + step, j : j + step].mean((2, 3))
                for i in range(0, x.shape[2], step)
                for j in range(0, x.shape[3], step)
            ]
            tokens = tokens + torch.stack(means, 1)
        rows[name] = tokens
    y = torch.zeros_like(rows["q"])
    for head in range(C // WIDTH):
        own = slice(head * WIDTH, (head + 1) * WIDTH)
        for index in range(y.shape[1]):
            logits = (rows["q"][:, index, None, own] * rows["k"][:, :, own]).sum(2) / C**0.5
            y[:, index, own] = (logits.softmax(1)[..., None] * rows["v"][:, :, own]).sum(1)
    return (y @ m.proj.weight.T + m.proj.bias).transpose(1, 2).reshape(x.shape)


@pytest.mark.parametrize("projection", ["conv", "residual"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_is_the_naive_sum(stride: int, projection: str) -> None:
    torch.manual_seed(0)
    mixer = ConvAttention(kv_stride=stride, head_channels=WIDTH, projection=projection)
    m = lower_layer(mixer, Grid(4, 5, C), dtype=torch.float64)
    with torch.no_grad():
        for weight in m.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    m(torch.randn(4, C, 4, 5, dtype=torch.float64))  # move the running statistics
    m.eval()
    x = torch.randn(2, C, 4, 5, dtype=torch.float64, requires_grad=True)
    y, expected = m(x), naive(m, x, stride, projection == "residual")
    torch.testing.assert_close(y, expected)
    leaves = [x, *(weight for name, weight in m.named_parameters() if name != "k_linear.bias")]  # that one cancels
    seed = torch.randn_like(y)
    torch.testing.assert_close(torch.autograd.grad(y, leaves, seed), torch.autograd.grad(expected, leaves, seed))


def test_residual_projections_cost_nothing_countable() -> None:
    """Table 6 of Attend To Convolution: MLP+Res and Res+Res have as many parameters."""
    costs = [cost(ConvAttention(projection=kind), Grid(8, 8, 64)) for kind in ("conv", "residual")]
    assert costs[0].params == costs[1].params == 4 * 64**2 + 37 * 64
    assert costs[0].macs == costs[1].macs
