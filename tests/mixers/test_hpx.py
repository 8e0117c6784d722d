from __future__ import annotations

import math

import pytest
import torch
from agreement import agree
from torch import Tensor
from torch.nn.functional import conv2d

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers import registry
from mixspec.compiler.mixers.hpx import Hpx

AT = Grid(6, 6, 4)
STAGES = (Grid(56, 56, 64), Grid(28, 28, 128), Grid(14, 14, 320), Grid(7, 7, 512))


def lowered(mixer: Hpx, at: Grid = AT) -> torch.nn.Module:
    """The settled mixer in float64 with every weight away from its start."""
    torch.manual_seed(0)
    module = lower_layer(mixer.settle(1, at), at, dtype=torch.float64)
    with torch.no_grad():
        for path, weight in module.named_parameters():
            if not path.endswith(("distance", "positions")):
                weight.add_(0.3 * torch.randn_like(weight))
    return module


def taps(module: torch.nn.Module, kernel: int) -> Tensor:
    """(C, K, K), tap by tap from the weights."""
    f, out = module.filter, []
    for row in range(kernel):
        for column in range(kernel):
            h = module.positions[0, :, row, column]
            h = (f.mlp.sin1.freq.flatten() * (f.mlp.fc1.weight @ h + f.mlp.fc1.bias)).sin()
            h = (f.mlp.sin2.freq.flatten() * (f.mlp.fc2.weight @ h + f.mlp.fc2.bias)).sin()
            distance = math.dist((row, column), ((kernel - 1) / 2,) * 2)
            out.append((f.mlp.fc3.weight @ h) * ((-f.decay.flatten().abs() * distance).exp() + f.shift.flatten()))
    return torch.stack(out, 1).unflatten(1, (kernel, kernel))


def convolved(a: Tensor, h: Tensor) -> Tensor:
    """True convolution by shifting and adding, zeros outside."""
    out, (height, width), half = torch.zeros_like(a), a.shape[2:], h.shape[1] // 2
    for i in range(height):
        for j in range(width):
            for p in range(height):
                for q in range(width):
                    row, column = i - p + half, j - q + half
                    if 0 <= row < h.shape[1] and 0 <= column < h.shape[2]:
                        out[:, :, i, j] += h[:, row, column] * a[:, :, p, q]
    return out


def gates(module: torch.nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    wide = torch.einsum("oc,bchw->bohw", module.pointwise.weight, x) + module.pointwise.bias[:, None, None]
    return conv2d(wide, module.depthwise.weight, module.depthwise.bias, padding=2, groups=wide.shape[1]).chunk(3, 1)


def projected(module: torch.nn.Module, y: Tensor) -> Tensor:
    return torch.einsum("oc,bchw->bohw", module.project.weight, y) + module.project.bias[:, None, None]


@pytest.mark.parametrize("size", [(6, 6), (4, 7), (9, 3)])
@pytest.mark.parametrize("kernel", [None, 3, 15])
def test_is_a_gated_true_convolution(kernel: int | None, size: tuple[int, int]) -> None:
    module = lowered(Hpx(kernel=kernel, embedding=8, hidden=5))
    x = torch.randn(2, 4, *size, dtype=torch.float64, requires_grad=True)
    q, k, v = gates(module, x)
    a = q * k
    mixed = convolved(a, taps(module, kernel or 11)) + a * module.skip[:, None, None]
    agree(module, x, projected(module, v * mixed), rtol=1e-5, atol=1e-6)  # float32 distances


def test_norms_stand_on_the_gate_and_in_front_of_the_output() -> None:
    module = lowered(Hpx(kernel=5, embedding=8, hidden=5, ln=True))
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64, requires_grad=True)

    def norm(x: Tensor, weight: Tensor) -> Tensor:
        x = x - x.mean(1, keepdim=True)
        return x / (x.square().mean(1, keepdim=True) + 1e-5).sqrt() * weight[:, None, None]

    q, k, v = gates(module, x)
    a = norm(q * k, module.gate_norm.weight)
    y = v * (convolved(a, taps(module, 5)) + a * module.skip[:, None, None])
    agree(module, x, projected(module, norm(y, module.out_norm.weight)), rtol=1e-5, atol=1e-6)


def test_separable_is_a_column_then_a_row_of_weights() -> None:
    module = lowered(Hpx(kernel=7, filter="separable"))
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64, requires_grad=True)
    q, k, v = gates(module, x)
    down = conv2d(q * k, module.columns.weight, module.columns.bias, padding=(3, 0), groups=4)
    across = conv2d(down, module.rows.weight, module.rows.bias, padding=(0, 3), groups=4)
    agree(module, x, projected(module, v * across))


def test_explicit_is_a_kernel_of_weights() -> None:
    module = lowered(Hpx(kernel=7, filter="explicit"))
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64, requires_grad=True)
    q, k, v = gates(module, x)
    mixed = conv2d(q * k, module.global_conv.weight, module.global_conv.bias, padding=3, groups=4)
    agree(module, x, projected(module, v * mixed))


def test_published_sizes_by_stage() -> None:
    settled = [Hpx().settle(stage, at) for stage, at in enumerate(STAGES, 1)]
    assert [mixer.kernel for mixer in settled] == [111, 55, 27, 13]
    assert [mixer.embedding for mixer in settled] == [32, 32, 48, 64]
    assert [mixer.hidden for mixer in settled] == [64, 64, 96, 128]
    assert Hpx().settle(1, Grid(7, 12, 64)).kernel == 23
    assert Hpx(kernel=9, embedding=8).settle(3, STAGES[2]) == Hpx(kernel=9, embedding=8, hidden=16)


@pytest.mark.parametrize(("stage", "at"), list(enumerate(STAGES, 1)))
def test_counts_of_the_closed_form(stage: int, at: Grid) -> None:
    mixer = Hpx().settle(stage, at)
    c, n, k, e, f = at.c, at.pixels, 2 * at.h - 1, mixer.embedding or 0, mixer.hidden or 0
    network = (e * f + f) + f + (f * f + f) + f + f * c
    params = 4 * c * c + 4 * c + 78 * c + e * k * k + network + k * k + 3 * c
    macs = 4 * c * c * n + 75 * c * n + k * k * (e * f + f * f + f * c)
    counted = cost(mixer, at)
    assert (counted.params, counted.macs) == (params, macs)
    assert counted.params_trainable == params - k * k
    with_norms = cost(mixer.settings(ln=True), at)
    assert (with_norms.params, with_norms.macs) == (params + 2 * c, macs)
    separable = cost(Hpx(kernel=k, filter="separable"), at)
    assert separable.params == 4 * c * c + 4 * c + 78 * c + 2 * (k * c + c)
    assert separable.macs == 4 * c * c * n + 75 * c * n + 2 * k * c * n


def test_start_of_the_filter() -> None:
    kernel, width = 7, 8
    module = lower_layer(Hpx(kernel=kernel, embedding=width, hidden=6), AT)
    for channel, column in ((0, 3), (1, 3), (2, 5), (3, 6)):
        rate = 10000 ** (-2 * (channel // 2) / (width / 2))
        expected = math.cos(column * rate) if channel % 2 else math.sin(column * rate)
        along_x, along_y = module.positions[0, channel, :, column], module.positions[0, channel + width // 2, column]
        torch.testing.assert_close(along_x, torch.full((kernel,), expected))
        torch.testing.assert_close(along_y, torch.full((kernel,), expected))
    distance = module.filter.distance[0, 0]
    assert not module.filter.distance.requires_grad
    assert distance[3, 3] == 0 and distance[3, 0] == 3 and distance[6, 6] == pytest.approx(math.sqrt(18))
    decay = module.filter.decay.flatten() * kernel
    assert decay[0].item() == pytest.approx(-3.0701, abs=1e-4) and decay[-1].item() == pytest.approx(-15.3506, abs=1e-4)
    assert torch.all(module.filter.shift == 0) and torch.all(module.filter.mlp.sin2.freq == 1)


def test_reach_is_the_whole_map_only_for_a_large_kernel() -> None:
    assert Hpx(kernel=7).traits(AT).space == "dense"
    small = Hpx(kernel=5).traits(AT)
    assert (small.space, small.reach) == ("sliding", 4)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Hpx K=8", "8 is even"),
        ("Hpx E=6", "E: must be a multiple of 4|multiple of 4"),
        ("Hpx filter=separable E=32", "E sizes a filter network"),
        ("Hpx filter=explicit F=32", "F sizes a filter network"),
        ("Hpx filter=fourier", "filter cannot be"),
    ],
)
def test_refuses(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        registry.make(text)
