from __future__ import annotations

import pytest
import torch
from agreement import agree

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.hyena import Hyena

AT = Grid(4, 5, 6)


def lowered(mixer: Hyena) -> torch.nn.Module:
    torch.manual_seed(0)
    module = lower_layer(mixer.settle(1, AT), AT, dtype=torch.float64)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return module


@pytest.mark.parametrize("size", [(4, 5), (3, 4), (7, 6)])
def test_sees_no_later_token(size: tuple[int, int]) -> None:
    module, (height, width) = lowered(Hyena(embedding=4, hidden=5)), size
    x = torch.randn(1, 6, height, width, dtype=torch.float64)
    base = module(x).flatten(2)
    for token in range(height * width):
        changed = x.clone()
        changed.flatten(2)[..., token] += 1.0
        difference = (module(changed).flatten(2) - base).abs().amax((0, 1))
        assert (difference[:token] < 1e-9).all()
        assert difference[token] > 1e-6
        if token + 3 < min(20, height * width):  # beyond the short filter, within the long one
            assert difference[token + 3] > 1e-9


def test_is_a_gated_sum_over_tokens_before() -> None:
    module = lowered(Hyena(embedding=4, hidden=5))
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64, requires_grad=True)
    wide = torch.einsum("oc,bcn->bon", module.expand.weight, x.flatten(2)) + module.expand.bias[:, None]
    weight, padded = module.short.weight[:, 0, 0], torch.nn.functional.pad(wide, (2, 0))
    gates = sum(weight[:, tap, None] * padded[..., tap : tap + 20] for tap in range(3)) + module.short.bias[:, None]
    out, left, right = gates.chunk(3, 1)
    a, h = left * right, module.filter(module.positions)
    mixed = a * module.skip[:, None]
    for i in range(20):
        for j in range(i + 1):
            mixed[..., i] += h[:, i - j] * a[..., j]
    y = torch.einsum("oc,bcn->bon", module.project.weight, out * mixed) + module.project.bias[:, None]
    agree(module, x, y.view_as(x))


def test_counts_of_the_closed_form() -> None:
    at = Grid(14, 14, 320)
    c, n, e, f = at.c, at.pixels, 49, 96
    counted = cost(Hyena().settle(3, at), at)
    # the short filter also reads the zeros behind the last token
    assert counted.macs == 4 * c * c * n + 9 * c * (n + 2) + n * (e * f + 2 * f * f + f * c)
    network = (e * f + f) + f + 2 * (f * f + 2 * f) + f * c
    assert counted.params == 4 * c * c + 4 * c + 12 * c + c + n * e + network


def test_equation_2_damps_old_tokens_and_the_released_code_new_ones() -> None:
    plain = lower_layer(Hyena(length=5, embedding=2, hidden=4), AT)
    assert plain.filter.time.flatten().tolist() == [0, 0.25, 0.5, 0.75, 1]
    inverted = lower_layer(Hyena(length=5, embedding=2, hidden=4, inverted=True), AT)
    assert inverted.filter.time.flatten().tolist() == [1, 0.75, 0.5, 0.25, 0]
    assert torch.equal(plain.positions, inverted.positions)
    torch.testing.assert_close(plain.positions[:, 0], plain.filter.time[:, 0])
