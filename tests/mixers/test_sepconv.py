from __future__ import annotations

import pytest
import torch
from agreement import agree
from torch.nn.functional import conv2d

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers import registry
from mixspec.compiler.mixers.sepconv import SepConv

AT = Grid(6, 9, 8)


def test_is_two_maps_around_a_bent_depthwise_convolution() -> None:
    module = lower_layer(SepConv(), AT, dtype=torch.float64)
    module.load_state_dict({name: torch.randn_like(weight) for name, weight in module.state_dict().items()})
    weights = dict(module.named_parameters())
    x = torch.randn(2, 8, 6, 9, dtype=torch.float64, requires_grad=True)
    inner = torch.einsum("oc,bchw->bohw", weights["expand.weight"], x)
    inner = weights["act.scale"] * inner.clamp(min=0) ** 2 + weights["act.bias"]
    inner = conv2d(inner, weights["spatial.weight"], padding=3, groups=16)
    expected = torch.einsum("oc,bchw->bohw", weights["project.weight"], inner)
    agree(module, x, expected)


def test_counts_of_the_closed_form() -> None:
    c, n = 320, 14 * 14
    counted = cost(SepConv(), Grid(14, 14, c))
    assert counted.params == 4 * c * c + 98 * c + 2
    assert counted.macs == 4 * c * c * n + 98 * c * n


def test_activation_starts_as_the_released_code() -> None:
    module = lower_layer(SepConv(), AT)
    assert module.act.scale.item() == 1.0 and module.act.bias.item() == 0.0


def test_even_kernels_are_refused() -> None:
    with pytest.raises(ValueError, match="6 is even"):
        registry.make("SepConv k=6")
