"""BatchNorm with centering calibration: what it computes, and what its running statistics are of."""

from __future__ import annotations

import torch
from agreement import agree

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.norms.ccbn import CenteredBatchNorm

AT = Grid(5, 4, 6)


def test_starts_as_batch_normalisation():
    module = lower_layer(CenteredBatchNorm().over(6), AT)
    x = torch.randn(3, 6, 5, 4)
    torch.testing.assert_close(module(x), torch.nn.functional.batch_norm(x, None, None, training=True))
    assert cost(CenteredBatchNorm().over(6), AT).params == 18


def test_shifts_every_image_by_its_own_mean_before_the_statistics():
    module = lower_layer(CenteredBatchNorm().over(6), AT)
    torch.nn.init.constant_(module.center, -1.0)
    x = torch.randn(3, 6, 5, 4) + torch.arange(3.0)[:, None, None, None]
    expected = torch.nn.functional.batch_norm(x - x.mean((2, 3), keepdim=True), None, None, training=True)
    torch.testing.assert_close(module(x), expected)
    torch.testing.assert_close(module.norm.running_mean, torch.zeros(6))


def test_values_and_gradients_of_its_definition():
    module = lower_layer(CenteredBatchNorm().over(6), AT, dtype=torch.float64)
    for weight in module.parameters():
        torch.nn.init.normal_(weight)
    x = torch.randn(3, 6, 5, 4, dtype=torch.float64, requires_grad=True)
    y = x + module.center.view(1, 6, 1, 1) * x.mean((2, 3), keepdim=True)
    y = y - y.mean((0, 2, 3), keepdim=True)
    y = y / (y.square().mean((0, 2, 3), keepdim=True) + 1e-5).sqrt()
    agree(module, x, y * module.norm.weight.view(1, 6, 1, 1) + module.norm.bias.view(1, 6, 1, 1))
