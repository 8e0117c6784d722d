from __future__ import annotations

import pytest
import torch
from agreement import agree

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers import registry
from mixspec.compiler.mixers.pooling import Pooling

AT = Grid(6, 5, 3)


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_mean_of_what_is_inside_the_map_minus_the_input(kernel: int) -> None:
    x, half = torch.randn(2, 3, 6, 5, dtype=torch.float64, requires_grad=True), kernel // 2
    expected = torch.empty_like(x)
    for i in range(6):
        for j in range(5):
            window = x[:, :, max(i - half, 0) : i + half + 1, max(j - half, 0) : j + half + 1]
            expected[:, :, i, j] = window.mean((2, 3)) - x[:, :, i, j]
    agree(lower_layer(Pooling(kernel=kernel), AT), x, expected)


def test_a_flat_map_has_nothing_to_mix() -> None:
    module = lower_layer(Pooling(), AT)
    assert module(torch.full((1, 3, 6, 5), 4.0)).abs().max() < 1e-6


def test_no_weights_and_no_multiply_adds() -> None:
    assert cost(Pooling(), AT).params == cost(Pooling(), AT).macs == 0


def test_a_window_has_a_centre() -> None:
    with pytest.raises(ValueError, match="4 is even"):
        registry.make("pooling k=4")
