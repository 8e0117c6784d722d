"""Gabor convolution: the kernels spelt out in float64, gradients of every parameter, start, and pruning score."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.gabor import GaborConv

PARAMETERS = {"theta", "omega", "psi", "sigma", "gamma", "amplitude"}


def layer(cin: int, cout: int, kernel: int, **fields: object) -> nn.Module:
    torch.manual_seed(0)
    conv = GaborConv(cin, cout, kernel, **fields)
    return lower_layer(conv, Grid(9, 9, cin), dtype=torch.float64)


def perturbed(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(torch.randn_like(weight))
    return module


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def one_slice(p: dict[str, float], kernel: int) -> Tensor:
    """One kernel, pixel by pixel."""
    r = kernel // 2
    omega, sigma = math.pi * sigmoid(p["omega"]), 0.5 + (kernel / 2 - 0.5) * sigmoid(p["sigma"])
    gamma = 0.25 + 1.75 * sigmoid(p["gamma"]) if "gamma" in p else 1.0
    g = torch.zeros(kernel, kernel, dtype=torch.float64)
    for y in range(-r, r + 1):
        for x in range(-r, r + 1):
            u = x * math.cos(p["theta"]) + y * math.sin(p["theta"])
            v = -x * math.sin(p["theta"]) + y * math.cos(p["theta"])
            envelope = math.exp(-(u**2 + gamma**2 * v**2) / (2 * sigma**2))
            g[y + r, x + r] = envelope * math.cos(omega * u + p["psi"])
    return p["amplitude"] * g / g.norm()


@pytest.mark.parametrize("aspect", [True, False])
@pytest.mark.parametrize("kernel", [3, 7])
def test_kernels_are_gabor_functions(kernel: int, aspect: bool) -> None:
    module = perturbed(layer(3, 4, kernel, aspect=aspect))
    weights = dict(module.named_parameters())
    assert set(weights) == PARAMETERS - (set() if aspect else {"gamma"})
    kernels = torch.stack(
        [
            torch.stack([one_slice({n: w[o, i].item() for n, w in weights.items()}, kernel) for i in range(3)])
            for o in range(4)
        ]
    )
    x = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(module.layer.kernels(module), kernels)
    torch.testing.assert_close(module(x), conv2d(x, kernels, padding=kernel // 2))


def test_gradients_are_those_of_finite_differences() -> None:
    module = perturbed(layer(2, 2, 5))
    x = torch.randn(1, 2, 6, 6, dtype=torch.float64)
    names, values = zip(*module.named_parameters(), strict=True)

    def run(*weights: Tensor) -> Tensor:
        return torch.func.functional_call(module, dict(zip(names, weights, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, values)


def test_every_number_learns_from_the_start() -> None:
    module = layer(3, 16, 3)
    module(torch.randn(4, 3, 9, 9, dtype=torch.float64)).square().sum().backward()
    for name, weight in module.named_parameters():
        assert weight.grad is not None and weight.grad.abs().min() > 0, name


def test_amplitude_is_the_norm_of_its_slice() -> None:
    module = perturbed(layer(3, 8, 7))
    torch.testing.assert_close(module.layer.kernels(module).flatten(2).norm(dim=2), module.amplitude.abs())
    with torch.no_grad():
        module.amplitude[2, 1] = 0
    assert not module.layer.kernels(module)[2, 1].any()


@pytest.mark.parametrize("kernel", [3, 7])
def test_start_keeps_the_scale_of_the_input_and_covers_directions(kernel: int) -> None:
    module = layer(3, 64, kernel)
    y = module(torch.randn(8, 3, 32, 32, dtype=torch.float64))
    assert 1.1 < y.std() < 1.7  # sqrt(2), as before a ReLU (arXiv:1502.01852)
    assert len(module.theta.unique()) == 8 and len(module.omega.unique()) == 5
    width = 0.5 + (kernel / 2 - 0.5) * module.sigma.sigmoid()
    assert width.min() > 0.5 and width.max() < kernel / 2


def test_only_amplitudes_decay() -> None:
    parts = GaborConv(3, 8, 7).parts(Grid(9, 9, 3))
    assert [name for name, part in parts.items() if part.decay] == ["amplitude"]


def test_stride_reads_every_second_position() -> None:
    full, half = layer(3, 4, 5), layer(3, 4, 5, stride=2)
    half.load_state_dict(full.state_dict())
    x = torch.randn(1, 3, 9, 9, dtype=torch.float64)
    torch.testing.assert_close(half(x), full(x)[..., ::2, ::2])
