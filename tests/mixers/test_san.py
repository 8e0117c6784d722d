from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, pad

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.san import PatchwiseAttention

AT = Grid(5, 4, 32)


def normed(x: Tensor, norm: nn.Module) -> Tensor:
    return torch.relu(batch_norm(x, None, None, norm.weight, norm.bias, training=True))


def reference(m: nn.Module, x: Tensor) -> Tensor:
    """Position by position: 2 keys, 8 values in two heads, neighbourhoods of 3x3."""
    query, key, value = (conv2d(x, part.weight, part.bias) for part in (m.query, m.key, m.value))
    key, value = (pad(part, (1, 1, 1, 1), mode="reflect") for part in (key, value))
    places = [(i, j) for i in range(5) for j in range(4)]
    seen = [torch.cat([query[:, :, i, j], key[:, :, i : i + 3, j : j + 3].flatten(1)], 1) for i, j in places]
    row = torch.stack(seen, -1)[:, :, None]
    kernels = conv2d(normed(row, m.norm1), m.squeeze.weight)
    kernels = conv2d(normed(kernels, m.norm2), m.span.weight, m.span.bias).view(len(x), 2, 1, 9, -1)
    windows = torch.stack([value[:, :, i : i + 3, j : j + 3].reshape(len(x), 2, 4, 9) for i, j in places], -1)
    summed = (windows * kernels).sum(3).view(len(x), 8, 5, 4)
    return conv2d(normed(summed, m.norm3), m.project.weight, m.project.bias)


def test_equals_the_definition() -> None:
    torch.manual_seed(0)
    mixer = PatchwiseAttention(kernel=3, head_channels=4)
    module = lower_layer(mixer, AT, dtype=torch.float64)
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.5)
    x = torch.randn(2, 32, 5, 4, dtype=torch.float64, requires_grad=True)
    actual, expected = module(x), reference(module, x)
    torch.testing.assert_close(actual, expected)
    leaves, direction = (x, *module.parameters()), torch.randn_like(expected)
    gradients = [torch.autograd.grad(y, leaves, direction) for y in (actual, expected)]
    torch.testing.assert_close(*gradients)


def test_counts_of_the_closed_form() -> None:
    c, keys, values, heads, taps, pixels = 256, 16, 64, 8, 49, 56 * 56
    counted = cost(PatchwiseAttention(), Grid(56, 56, c))
    maps = [(c, 2 * keys + values), (keys * (taps + 1), heads), (heads, heads * taps), (values, c)]
    weights = sum(rows * columns for rows, columns in maps)
    assert counted.macs == pixels * (weights + values * taps)
    biases = 2 * keys + values + heads * taps + c
    assert counted.params == weights + biases + 2 * (keys * (taps + 1) + heads + values)


def test_a_mirror_needs_a_map_behind_it() -> None:
    (problem,) = PatchwiseAttention(kernel=7).check(Grid(3, 9, 256))
    assert problem.code == "MX201" and problem.where == ("kernel",)
    assert not list(PatchwiseAttention(kernel=7).check(Grid(4, 4, 256)))


def test_heads_divide_the_values() -> None:
    (problem,) = PatchwiseAttention(head_channels=5).check(Grid(8, 8, 64))
    assert problem.what == "Ch=5 does not divide 16 channels"
