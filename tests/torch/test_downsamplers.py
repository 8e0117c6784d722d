"""Low-pass filters against sums over windows and against waves of known frequency."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mixspec.compiler.cost import cost
from mixspec.compiler.downsamplers import registry
from mixspec.compiler.downsamplers.avg import Average
from mixspec.compiler.downsamplers.binomial import Binomial
from mixspec.compiler.downsamplers.box import Box
from mixspec.compiler.downsamplers.ideal import Ideal
from mixspec.compiler.families.resnet import known_filters
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixer import Mixer, Traits

EVERY = [Average(), Average(kernel=2), Average(kernel=5), Binomial(), Binomial(kernel=5), Box(), Ideal()]


def applied(mixer: Mixer, x: Tensor) -> Tensor:
    at = Grid(x.shape[2], x.shape[3], x.shape[1])
    return lower_layer(mixer, at, dtype=x.dtype).eval()(x)


@pytest.mark.parametrize("mixer", EVERY, ids=str)
@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 10), (1, 1), (2, 3)])
def test_halves_the_map_rounded_up_and_counts_its_work(mixer: Mixer, height: int, width: int) -> None:
    at = Grid(height, width, 6)
    assert mixer.out(at) == Grid(-(-height // 2), -(-width // 2), 6)
    assert list(mixer.check(at)) == [] and isinstance(mixer.traits(at), Traits)
    module = lower_layer(mixer, at)
    x = torch.randn(2, 6, height, width, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        y = module(x)
    assert y.shape == (2, 6, -(-height // 2), -(-width // 2))
    assert counter.get_total_flops() == 2 * 2 * cost(mixer, at).macs
    assert cost(mixer, at).params == 0 and not list(module.parameters())
    y.sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


@pytest.mark.parametrize("mixer", EVERY, ids=str)
def test_a_constant_passes_where_no_border_is_near(mixer: Mixer) -> None:
    y = applied(mixer, torch.full((1, 3, 12, 12), 2.5, dtype=torch.float64))
    torch.testing.assert_close(y[..., 1:5, 1:5], torch.full((1, 3, 4, 4), 2.5, dtype=torch.float64))


def response(mixer: Mixer, frequency: float, axis: int) -> float:
    """What is left of a wave, at the positions that are kept; odd kernels are symmetric, so its phase stays."""
    positions = torch.arange(64, dtype=torch.float64)
    wave = torch.cos(2 * math.pi * frequency * positions)
    x = wave[:, None].expand(64, 64) if axis == 0 else wave.expand(64, 64)
    y, kept = applied(mixer, x[None, None]), x[::2, ::2]
    inner = slice(8, 24)
    return float((y[0, 0] * kept)[inner, inner].sum() / kept[inner, inner].square().sum())


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(
    ("mixer", "quarter", "half"),
    [  # gains at 1/4 and 1/2 cycles per position: sin(pi k f) / (k sin(pi f)) for averages, cos^2(pi f) for k=3
        (Average(kernel=3), 1 / 3, -1 / 3),
        (Average(kernel=5), -1 / 5, 1 / 5),
        (Binomial(kernel=3), 1 / 2, 0.0),
        (Binomial(kernel=5), 1 / 4, 0.0),
        (Box(), 1.0, 0.0),
        (Ideal(), 1.0, 0.0),
    ],
    ids=str,
)
def test_gain_of_waves(mixer: Mixer, quarter: float, half: float, axis: int) -> None:
    assert response(mixer, 0.25, axis) == pytest.approx(quarter, abs=1e-9)
    assert response(mixer, 0.5, axis) == pytest.approx(half, abs=1e-9)


def test_an_even_window_averages_pairs() -> None:
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    y = applied(Average(kernel=2), x)
    for i, j in itertools.product(range(3), range(3)):
        window = x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        torch.testing.assert_close(y[:, :, i, j], window.mean((2, 3)))


def test_an_odd_window_counts_zeros_beyond_the_border() -> None:
    y = applied(Average(kernel=3), torch.ones(1, 1, 5, 5))
    assert y[0, 0, 0, 0] == pytest.approx(4 / 9) and y[0, 0, 0, 1] == pytest.approx(6 / 9)


def test_the_binomial_kernel() -> None:
    x = torch.zeros(1, 1, 6, 6, dtype=torch.float64)
    x[0, 0, 2, 2] = 16
    y = applied(Binomial(), x)
    assert y[0, 0, 1, 1] == 4 and y[0, 0, 0, 0] == y[0, 0, 2, 2] == 0
    x = torch.zeros(1, 1, 6, 6, dtype=torch.float64)
    x[0, 0, 1, 1] = 16
    assert applied(Binomial(), x)[0, 0, 0, 0] == applied(Binomial(), x)[0, 0, 1, 1] == 1


@pytest.mark.parametrize(("mixer", "diagonal"), [(Box(), 1.0), (Ideal(), 0.0)], ids=str)
def test_box_and_disc_differ_on_the_diagonal(mixer: Mixer, diagonal: float) -> None:
    """A wave of 0.2 cycles along both axes is 0.28 long."""
    n = torch.arange(20, dtype=torch.float64)
    x = torch.cos(2 * math.pi * 0.2 * (n[:, None] + n))[None, None]
    torch.testing.assert_close(applied(mixer, x), diagonal * x[..., ::2, ::2], atol=1e-6, rtol=0)


@pytest.mark.parametrize("mixer", [Box(), Ideal()], ids=str)
def test_transforms_are_counted_apart_and_run_in_half_precision(mixer: Mixer) -> None:
    at = Grid(16, 16, 4)
    assert cost(mixer, at).macs == 0
    assert cost(mixer, at).fft_flops == round(4 * (144 * math.log2(144) + 256 * 8))
    x = torch.randn(1, 4, 16, 16)
    low = applied(mixer, x.bfloat16())
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), applied(mixer, x), atol=0.05, rtol=0.05)


def test_mixers_may_filter_too() -> None:
    assert set(registry) <= set(known_filters)
    strided = known_filters.make("CADAsp b=2 agg=3 Ch=all").strided(2)
    assert applied(strided, torch.randn(1, 8, 7, 9)).shape == (1, 8, 4, 5)
    assert registry.make("avg k=2") == Average(kernel=2) and str(known_filters.make("ideal")) == "ideal"
