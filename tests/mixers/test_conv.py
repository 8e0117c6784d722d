from __future__ import annotations

import pytest
import torch
from agreement import agree
from pydantic import ValidationError

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.conv import Conv


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (5, 2), (3, 3)])
def test_is_a_zero_padded_convolution(kernel: int, stride: int) -> None:
    at = Grid(7, 6, 4)
    module = lower_layer(Conv(kernel=kernel, stride=stride, bias=True), at, dtype=torch.float64)
    x, reach = torch.randn(2, 4, 7, 6, dtype=torch.float64, requires_grad=True), kernel // 2
    padded = torch.nn.functional.pad(x, (reach,) * 4)
    weight, bias = module.conv.weight, module.conv.bias
    out = Conv(kernel=kernel, stride=stride).out(at)
    expected = torch.empty(2, 4, out.h, out.w, dtype=torch.float64)
    for i in range(out.h):
        for j in range(out.w):
            window = padded[:, None, :, i * stride : i * stride + kernel, j * stride : j * stride + kernel]
            expected[:, :, i, j] = (weight * window).sum((2, 3, 4)) + bias
    agree(module, x, expected)


def test_counts() -> None:
    counted = cost(Conv(kernel=3, stride=2), Grid(57, 56, 64))
    assert (counted.params, counted.macs) == (9 * 64 * 64, 9 * 64 * 64 * 29 * 28)


def test_has_a_middle() -> None:
    with pytest.raises(ValidationError, match="4"):
        Conv(kernel=4)
