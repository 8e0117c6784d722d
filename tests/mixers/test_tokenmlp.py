"""Mixers with weights for every position: TokenMLP, TokenLinear and SpatialGating, position by position in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm

from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixer import Mixer
from mixspec.compiler.mixers import registry

AT = Grid(3, 4, 8)


def over_positions(linear: nn.Module, columns: Tensor) -> Tensor:
    """Every position as a sum over all, (B, C, N)."""
    sums = [(columns * row).sum(2) + bias for row, bias in zip(linear.weight, linear.bias, strict=True)]
    return torch.stack(sums, 2)


def token_mlp(m: nn.Module, x: Tensor) -> Tensor:
    return over_positions(m.fc2, gelu(over_positions(m.fc1, x.flatten(2)))).view(x.shape)


def token_linear(m: nn.Module, x: Tensor) -> Tensor:
    return over_positions(m.fc, x.flatten(2)).view(x.shape)


def spatial_gating(m: nn.Module, x: Tensor) -> Tensor:
    wide = gelu(torch.einsum("oc,bchw->bhwo", m.fc1.weight, x) + m.fc1.bias)
    u, v = wide[..., : wide.shape[-1] // 2], wide[..., wide.shape[-1] // 2 :]
    v = layer_norm(v, v.shape[-1:], m.norm.weight, m.norm.bias)
    gate = over_positions(m.gate, v.flatten(1, 2).transpose(1, 2)).transpose(1, 2).reshape(u.shape)
    return ((u * gate) @ m.fc2.weight.T + m.fc2.bias).permute(0, 3, 1, 2)


NAIVE = {"TokenMLP h=5": token_mlp, "TokenLinear": token_linear, "SpatialGating r=4": spatial_gating}


def settled(notation: str) -> Mixer:
    return registry.make(notation).settle(1, AT)


@pytest.mark.parametrize("notation", NAIVE)
def test_is_the_naive_sum(notation: str) -> None:
    torch.manual_seed(0)
    m = lower_layer(settled(notation), AT, dtype=torch.float64)
    with torch.no_grad():
        for weight in m.parameters():
            weight.add_(0.5 * torch.randn_like(weight))
    x = torch.randn(2, AT.c, AT.h, AT.w, dtype=torch.float64, requires_grad=True)
    y, expected = m(x), NAIVE[notation](m, x)
    torch.testing.assert_close(y, expected)
    leaves, seed = [x, *m.parameters()], torch.randn_like(y)
    torch.testing.assert_close(torch.autograd.grad(y, leaves, seed), torch.autograd.grad(expected, leaves, seed))


@pytest.mark.parametrize("notation", NAIVE)
def test_refuses_another_map(notation: str) -> None:
    mixer = settled(notation)
    assert not list(mixer.check(AT))
    assert [problem.where for problem in mixer.check(Grid(4, 4, 8))] == [("height",)]
    assert not mixer.traits(AT).any_size


def test_hidden_width_is_half_the_channels() -> None:
    assert settled("TokenMLP").hidden == 4


def test_gate_lets_everything_pass_at_first() -> None:
    torch.manual_seed(0)
    m = lower_layer(settled("SpatialGating"), AT)
    x = torch.randn(2, AT.c, AT.h, AT.w)
    half = m.act(m.fc1(x)).chunk(2, 1)[0]
    torch.testing.assert_close(m(x), m.fc2(half), rtol=1e-3, atol=1e-3)


def test_gate_needs_two_halves() -> None:
    problem = next(iter(registry.make("SpatialGating r=3").check(Grid(3, 4, 5))))
    assert "no two halves" in problem.what
    assert problem.nearest == ("4",)
