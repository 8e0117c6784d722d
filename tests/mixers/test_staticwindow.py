"""Learnt window weights against a sum over the window, and what binds them to a size."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.staticwindow import StaticWindow

AT = Grid(8, 12, 8)


def built(mixer: StaticWindow) -> nn.Module:
    torch.manual_seed(0)
    module = lower_layer(mixer, AT, dtype=torch.float64)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def reference(mixer: StaticWindow, module: nn.Module, x: Tensor) -> Tensor:
    """Window by window, position by position."""
    w, d = mixer.window, mixer.head_channels
    value = module.value(x).roll((-mixer.shift, -mixer.shift), (2, 3))
    y = torch.zeros_like(value)
    columns = x.shape[3] // w
    for window in range(x.shape[2] // w * columns):
        top, left = window // columns * w, window % columns * w
        tile = value[:, :, top : top + w, left : left + w].flatten(2)
        for head in range(x.shape[1] // d):
            weight = module.weight[head] if mixer.shared else module.weight[window, head]
            own = slice(head * d, head * d + d)
            y[:, own, top : top + w, left : left + w] = (tile[:, own] @ weight.T).unflatten(2, (w, w))
    return module.proj(y.roll((mixer.shift, mixer.shift), (2, 3)))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("shift", [0, 2])
def test_equals_the_definition(shared, shift):
    mixer = StaticWindow(window=4, head_channels=4, shared=shared, shift=shift)
    module = built(mixer)
    assert module.weight.shape == ((2, 16, 16) if shared else (6, 2, 16, 16))
    x = torch.randn(2, 8, 8, 12, dtype=torch.float64, requires_grad=True)
    actual, expected = module(x), reference(mixer, module, x)
    torch.testing.assert_close(actual, expected)
    leaves, weight = (x, module.weight), torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(actual, leaves, weight), torch.autograd.grad(expected, leaves, weight)
    )


def test_own_weights_belong_to_one_size():
    mixer = StaticWindow(window=4, head_channels=4).settle(1, AT)
    assert mixer.windows == 6 and not mixer.traits(AT).any_size
    assert not list(mixer.check(AT))
    assert [problem.what for problem in mixer.check(Grid(8, 8, 8))] == ["matrices for 6 windows, the map has 4"]
    with pytest.raises(ValueError, match="for 6 windows of 16 positions, the map has 4 of 16"):
        built(mixer)(torch.zeros(1, 8, 8, 8, dtype=torch.float64))


def test_shared_weights_run_at_any_size_and_small_maps_use_their_corner():
    mixer = StaticWindow(window=4, head_channels=8, shared=True)
    module = built(mixer)
    assert mixer.settle(1, AT).windows is None
    assert module(torch.zeros(1, 8, 5, 9, dtype=torch.float64)).shape == (1, 8, 5, 9)
    x = torch.randn(1, 8, 2, 4, dtype=torch.float64)
    weight = module.weight[0].view(4, 4, 4, 4)[:2, :, :2].reshape(8, 8)
    y = (module.value(x).flatten(2) @ weight.T).view(1, 8, 2, 4)
    torch.testing.assert_close(module(x), module.proj(y))
