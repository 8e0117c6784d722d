from __future__ import annotations

import pytest
import torch

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.local import Local

AT = Grid(6, 5, 8)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("head_channels", [1, 4])
def test_every_position_has_its_own_kernel(head_channels: int, stride: int) -> None:
    mixer = Local(kernel=3, head_channels=head_channels, stride=stride)
    module, out = lower_layer(mixer, AT, dtype=torch.float64), mixer.out(AT)
    x = torch.randn(2, 8, 6, 5, dtype=torch.float64, requires_grad=True)
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1))
    kernels = module.weight.view(8 // head_channels, 3, 3, out.h, out.w).repeat_interleave(head_channels, 0)
    rows = []
    for i in range(out.h):
        windows = [padded[:, :, i * stride :, j * stride :][:, :, :3, :3] for j in range(out.w)]
        rows.append(torch.stack([(w * kernels[..., i, j]).sum((2, 3)) for j, w in enumerate(windows)], -1))
    expected, actual = torch.stack(rows, 2), module(x)
    torch.testing.assert_close(actual, expected)
    direction = torch.randn_like(expected)
    gradients = [torch.autograd.grad(y, (x, module.weight), direction) for y in (actual, expected)]
    torch.testing.assert_close(*gradients)


def test_counts_of_the_closed_form() -> None:
    counted = cost(Local(kernel=7), Grid(14, 14, 256))
    assert counted.params == counted.macs == 256 * 49 * 14 * 14


def test_the_size_is_fixed_once_settled() -> None:
    mixer = Local().settle(3, AT)
    assert not list(mixer.check(AT))
    assert [p.where for p in mixer.check(Grid(7, 7, 8))] == [("height",), ("width",)]
