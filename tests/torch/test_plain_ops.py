"""The forms of our operators that are exported compute what the operators do."""

from __future__ import annotations

import pytest
import torch

from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixer import Mixer
from mixspec.compiler.mixers.attention import Attention
from mixspec.compiler.mixers.window import Window
from mixspec.compiler.ops import attend, plain
from mixspec.compiler.ops.aggregate import aggregate
from mixspec.compiler.ops.decomposed import aggregate_decomposed
from mixspec.compiler.ops.flat_fft import Layout
from mixspec.compiler.ops.global_conv import global_conv
from mixspec.compiler.ops.lowpass import low_pass


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("size", [(7, 9), (12, 8), (16, 16)])
@pytest.mark.parametrize("kernel", [(3, 3), (5, 8), (13, 17), (31, 31), (40, 2)])
def test_global_convolution_by_both_forms(size: tuple[int, int], kernel: tuple[int, int]) -> None:
    x, filters = draw(2, 3, *size), draw(3, *kernel)
    expected = global_conv(x, filters)
    layout = Layout.of(size, kernel, (kernel[0] // 2, kernel[1] // 2))
    taps = layout.crop(filters)
    for form in (plain._direct, plain._by_spectrum):
        torch.testing.assert_close(form(x, taps, layout), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(plain.global_conv2d(x, filters), expected, rtol=1e-10, atol=1e-10)


def test_large_kernels_go_by_spectrum_and_small_ones_do_not() -> None:
    large, small = (Layout.of((56, 56), (k, k), (k // 2, k // 2)) for k in (111, 7))
    assert plain._spectral_macs(large) < plain._direct_macs(large) / 4
    assert plain._spectral_macs(small) > plain._direct_macs(small)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("taps", [1, 6, 11, 40])
def test_global_convolution_of_sequences(taps: int, causal: bool) -> None:
    x, filters = draw(2, 3, 20), draw(3, taps)
    torch.testing.assert_close(plain.global_conv1d(x, filters, causal), global_conv(x, filters, causal=causal))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 2, 3, 6, 7])
def test_aggregation(kernel: int, stride: int) -> None:
    x, out = draw(2, 8, 9, 7), (-(-9 // stride), -(-7 // stride))
    for maps in (draw(2, 4 * kernel**2, *out), draw(1, 4 * kernel**2, *out), draw(2, 4 * kernel**2, 1, 1)):
        expected = aggregate(x, maps, kernel=kernel, stride=stride)
        torch.testing.assert_close(plain.aggregate(x, maps, kernel, stride), expected)
    bank, position = draw(4 * kernel**2, 3, 1, 1), draw(4 * kernel**2)
    for alpha in (draw(2, 3, *out), draw(1, 12, *out)):
        expected = aggregate_decomposed(x, alpha, bank, position, kernel=kernel, stride=stride)
        torch.testing.assert_close(plain.aggregate_decomposed(x, alpha, bank, position, kernel, stride), expected)


@pytest.mark.parametrize("band", ["box", "disc"])
@pytest.mark.parametrize("size", [(8, 8), (9, 6), (5, 7)])
def test_low_pass_is_exported_without_transforms(band: str, size: tuple[int, int]) -> None:
    class Filter(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return low_pass(x, band, 2)

    x = draw(2, 3, *size)
    program = torch.export.export(Filter(), (x,))
    assert not [node for node in program.graph.nodes if "fft" in str(node.target)]
    torch.testing.assert_close(program.module()(x), low_pass(x, band, 2), rtol=1e-10, atol=1e-10)


NEVER_EXPORTED = {attend.attend.__name__}
"""Operators that stand in for torch's own where layers may choose their form, which they may not under an exporter."""


def test_every_operator_of_ours_has_a_form() -> None:
    named = {str(target).split(".")[1] for target in plain.forms()}
    registered = {name.split("::")[1] for name in torch._C._dispatch_get_all_op_names() if name.startswith("mixspec::")}
    assert named | NEVER_EXPORTED == {name for name in registered if "backward" not in name}
    assert not named & NEVER_EXPORTED


@pytest.mark.parametrize("mixer", [Window(window=4, shift=1, head_channels=8), Attention(head_channels=8)])
def test_attention_is_exported_in_operations_of_torch(mixer: Mixer) -> None:
    torch.manual_seed(0)
    module, x = lower_layer(mixer, Grid(9, 7, 16)).eval(), torch.randn(2, 16, 9, 7)
    program = torch.export.export(module, (x,))
    assert not any("mixspec" in str(node.target) for node in program.graph.nodes)
    torch.testing.assert_close(program.module()(x), module(x), rtol=1e-5, atol=1e-5)
