from __future__ import annotations

import math

import pytest
import torch
from agreement import agree
from torch import Tensor

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.init import TruncNormal
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers import registry
from mixspec.compiler.mixers.hb import Hb

AT = Grid(4, 5, 6)
STAGES = (Grid(56, 56, 64), Grid(28, 28, 128), Grid(14, 14, 320), Grid(7, 7, 512))


def lowered(mixer: Hb, at: Grid = AT) -> torch.nn.Module:
    torch.manual_seed(0)
    module = lower_layer(mixer.settle(1, at), at, dtype=torch.float64)
    with torch.no_grad():
        for path, weight in module.named_parameters():
            if path != "positions":
                weight.add_(0.3 * torch.randn_like(weight))
    return module


def taps(module: torch.nn.Module) -> Tensor:
    """(C, T), tap by tap from the weights."""
    mlp, rates = module.filter.mlp, torch.linspace(math.log(0.01) / 1.5, math.log(0.01) / 0.3, 6).double()
    half, out = (len(module.positions) - 1) // 2, []
    for index, h in enumerate(module.positions):
        for fc, sine in ((mlp.fc1, mlp.sin1), (mlp.fc2, mlp.sin2), (mlp.fc3, mlp.sin3)):
            h = (sine.freq[0] * (fc.weight @ h + fc.bias)).sin()
        out.append((mlp.fc4.weight @ h) * (rates * abs(index - half) / half).exp())
    return torch.stack(out, 1)


def short(module: torch.nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    """The three gates (B, C, N) in row-major order."""
    wide = torch.einsum("oc,bcn->bon", module.expand.weight, x.flatten(2)) + module.expand.bias[:, None]
    padded, weight = torch.nn.functional.pad(wide, (1, 1)), module.short.weight[:, 0, 0]
    count = wide.shape[2]
    y = sum(weight[:, tap, None] * padded[..., tap : tap + count] for tap in range(3))
    return (y + module.short.bias[:, None]).chunk(3, 1)


@pytest.mark.parametrize("length", [None, 7, 40])
@pytest.mark.parametrize("size", [(4, 5), (3, 8)])
def test_is_a_gated_convolution_centred_on_every_token(length: int | None, size: tuple[int, int]) -> None:
    module = lowered(Hb(length=length, embedding=4, hidden=5))
    x = torch.randn(2, 6, *size, dtype=torch.float64, requires_grad=True)
    out, left, right = short(module, x)
    a, h, count = left * right, taps(module), size[0] * size[1]
    centre = (h.shape[1] - 1) // 2
    mixed = a * module.skip[:, None]
    for i in range(count):
        for j in range(count):
            if abs(i - j) <= centre:
                mixed[..., i] += h[:, centre + i - j] * a[..., j]
    y = torch.einsum("oc,bcn->bon", module.project.weight, out * mixed) + module.project.bias[:, None]
    agree(module, x, y.view_as(x), rtol=1e-6, atol=1e-7)  # float32 rates


@pytest.mark.parametrize(("stage", "at"), list(enumerate(STAGES, 1)))
def test_counts_of_the_closed_form(stage: int, at: Grid) -> None:
    mixer = Hb().settle(stage, at)
    c, n, taps = at.c, at.pixels, 2 * at.pixels - 1
    e, f = (33, 33, 49, 65)[stage - 1], (64, 64, 96, 128)[stage - 1]
    counted = cost(mixer, at)
    network = (e * f + f) + f + 2 * (f * f + 2 * f) + f * c
    assert counted.params == counted.params_trainable == 4 * c * c + 4 * c + 12 * c + c + taps * e + network
    assert counted.macs == 4 * c * c * n + 9 * c * n + taps * (e * f + 2 * f * f + f * c)
    assert cost(mixer.settings(ln=True), at).params == counted.params + 2 * c


def test_start_of_the_filter() -> None:
    module = lower_layer(Hb(length=5, embedding=6, hidden=4), AT, init=TruncNormal(0.02))
    z = module.positions
    torch.testing.assert_close(z[:, 0], torch.tensor([0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0]))
    for band, frequency in enumerate((1e-4, 1.00005, 2.0)):
        angle = frequency * 2 * math.pi * 4 / 9
        assert z[4, 1 + band].item() == pytest.approx(math.cos(angle), abs=1e-5)
        assert z[4, 4 + band].item() == pytest.approx(-math.sin(angle), abs=1e-5)
    assert {name for name, _ in module.named_buffers()} == {"filter.decay", "filter.time"}
    assert module.filter.time.flatten().tolist() == [1, 0.75, 0.5, 0.25, 0, 0.25, 0.5, 0.75, 1]


def test_short_filter_keeps_the_start_of_torch() -> None:
    module = lower_layer(Hb(length=4, embedding=2, hidden=4), Grid(2, 2, 64), init=TruncNormal(0.02))
    bound = 1 / math.sqrt(3)
    for weight in (module.short.weight, module.short.bias):
        assert 0.8 * bound < weight.abs().max() <= bound
    assert module.expand.weight.abs().max() < 0.2


def test_one_token_is_enough() -> None:
    at = Grid(1, 1, 4)
    assert lower_layer(Hb().settle(4, at), at)(torch.randn(2, 4, 1, 1)).isfinite().all()


def test_waves_come_in_pairs() -> None:
    with pytest.raises(ValueError, match="multiple of 2"):
        registry.make("Hb E=33")
