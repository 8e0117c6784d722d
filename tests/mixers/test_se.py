"""Squeeze-and-excitation against timm's."""

from __future__ import annotations

import torch
from agreement import agree
from timm.layers import SqueezeExcite

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.se import SqueezeExcitation


def test_equals_timm():
    torch.manual_seed(0)
    theirs = SqueezeExcite(32, rd_ratio=1 / 16, rd_divisor=1)
    mine = lower_layer(SqueezeExcitation(), Grid(6, 5, 32))
    names = {"fc1": "reduce", "fc2": "expand"}
    mine.load_state_dict({f"{names[k.split('.')[0]]}.{k.split('.')[1]}": v for k, v in theirs.state_dict().items()})
    x = torch.randn(2, 32, 6, 5)
    torch.testing.assert_close(mine(x), theirs(x))


def test_is_a_gate_of_every_channel_from_the_image_s_mean():
    torch.manual_seed(0)
    module = lower_layer(SqueezeExcitation(reduction=4), Grid(4, 3, 8), dtype=torch.float64)
    x = torch.randn(2, 8, 4, 3, dtype=torch.float64, requires_grad=True)
    first, second = (getattr(module, name) for name in ("reduce", "expand"))
    mean = x.sum((2, 3)) / 12
    hidden = (mean @ first.weight.flatten(1).T + first.bias).clamp(min=0)
    gate = 1 / (1 + (-(hidden @ second.weight.flatten(1).T + second.bias)).exp())
    agree(module, x, x * gate[:, :, None, None])


def test_holds_two_maps_with_biases():
    assert cost(SqueezeExcitation(), Grid(56, 56, 96)).params == 2 * 96 * 6 + 6 + 96


def test_the_reduction_divides_the_channels():
    assert [p.hint for p in SqueezeExcitation(reduction=10).check(Grid(7, 7, 96))] == ["nearest: 8, 12"]
