"""Global convolution against a reference that shifts the map once per tap, values and gradients, in float64."""

from __future__ import annotations

import pytest
import torch
from agreement import same
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mixspec.compiler.ops import direct_conv, native, native_conv
from mixspec.compiler.ops.flat_fft import Layout, fast_length
from mixspec.compiler.ops.global_conv import global_conv
from mixspec.compiler.ops.native_conv import faster as native_is_faster

from .users import Long


def reference(x: Tensor, filters: Tensor, centre: tuple[int, int]) -> Tensor:
    """y[i, j] = sum of h[p, q] * x[i - (p - centre), j - (q - centre)], nothing outside the map."""
    h, w = x.shape[2:]
    total = torch.zeros_like(x)
    for p in range(filters.shape[1]):
        for q in range(filters.shape[2]):
            dy, dx = p - centre[0], q - centre[1]
            if abs(dy) < h and abs(dx) < w:
                moved = torch.zeros_like(x)
                source = x[:, :, max(0, -dy) : h - max(0, dy), max(0, -dx) : w - max(0, dx)]
                moved[:, :, max(0, dy) : h + min(0, dy), max(0, dx) : w + min(0, dx)] = source
                total = total + filters[:, p, q].view(1, -1, 1, 1) * moved
    return total


def double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


FORMS = ["direct", "transform", *["native"] * bool(native.library())]


@pytest.fixture(params=FORMS, scope="module")
def form(request):
    """Run the small maps of this module through all forms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(direct_conv, "faster", lambda layout, device: request.param != "transform")
        patch.setattr(native_conv, "faster", lambda layout, device: request.param == "native")
        yield request.param


@pytest.mark.parametrize("batch", [1, 3, 11])
def test_any_number_of_images(form, batch):
    torch.manual_seed(0)
    x, filters = double(batch, 2, 3, 17), double(2, 5, 33)
    same(global_conv(x, filters), reference(x, filters, (2, 16)), (x, filters))


@pytest.mark.skipif(native.library() is None, reason="there is no C++ compiler")
@pytest.mark.parametrize(
    ("size", "taps", "native_one"), [((14, 14), 27, True), ((14, 14), 9, False), ((28, 28), 55, False)]
)
def test_native_form_is_for_small_maps_and_large_filters(size, taps, native_one):
    layout = Layout.of(size, (taps, taps), (taps // 2, taps // 2))
    assert native_is_faster(layout, torch.device("cpu")) is native_one


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 20), st.integers(1, 20))
def test_map_equals_the_definition(form, height, width, k, k2):
    torch.manual_seed(0)
    x, filters = double(2, 3, height, width), double(3, k, k2)
    same(global_conv(x, filters), reference(x, filters, (k // 2, k2 // 2)), (x, filters))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 90), st.booleans())
def test_sequence_equals_the_definition(form, length, taps, causal):
    torch.manual_seed(0)
    x, filters = double(2, 3, length), double(3, taps)
    expected = reference(x.unsqueeze(2), filters.unsqueeze(1), (0, 0 if causal else taps // 2)).squeeze(2)
    same(global_conv(x, filters, causal=causal), expected, (x, filters))


def test_no_wrap_around_at_published_sizes():
    torch.manual_seed(0)
    x, filters = torch.zeros(1, 1, 56, 56), torch.randn(1, 111, 111)
    x[0, 0, 0, 0], x[0, 0, 55, 55] = 1.0, 1.0
    expected = filters[:, 55:, 55:] + filters[:, :56, :56]
    torch.testing.assert_close(global_conv(x, filters)[0], expected, rtol=0, atol=2e-5)


def test_blocks_of_images_and_channels_agree():
    torch.manual_seed(0)
    x, filters = double(3, 5, 60, 50), double(5, 9, 7)
    whole = torch.conv2d(x, filters.flip(1, 2).unsqueeze(1), padding=(4, 3), groups=5)
    same(global_conv(x, filters), whole, (x, filters))


@pytest.mark.parametrize("batch", [2, 3])
def test_images_in_a_pair_do_not_reach_each_other(batch):
    torch.manual_seed(0)
    x, filters = torch.randn(batch, 3, 20, 24), torch.randn(3, 39, 47)
    dark = torch.cat([x[:1], torch.zeros_like(x[1:])])
    both, alone = global_conv(x, filters), global_conv(dark, filters)
    torch.testing.assert_close(both[0], alone[0], rtol=0, atol=1e-4)
    torch.testing.assert_close(both, torch.cat([global_conv(one[None], filters) for one in x]), rtol=0, atol=1e-4)


def test_gradcheck(form):
    assert torch.autograd.gradcheck(global_conv, (double(2, 2, 4, 3), double(2, 5, 7)))
    causal = (double(2, 2, 6), double(2, 6))
    assert torch.autograd.gradcheck(lambda x, filters: global_conv(x, filters, causal=True), causal)


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # of opcheck's own making
@pytest.mark.parametrize("needs", [(True, True), (True, False), (False, True)])
def test_opcheck(form, needs):
    x = torch.randn(2, 3, 5, 4).to(memory_format=torch.channels_last).requires_grad_(needs[0])
    torch.library.opcheck(torch.ops.mixspec.global_conv2d, (x, torch.randn(3, 9, 7).requires_grad_(needs[1])))
    x = torch.randn(2, 3, 5).requires_grad_(needs[0])
    torch.library.opcheck(torch.ops.mixspec.global_conv1d, (x, torch.randn(3, 9).requires_grad_(needs[1]), True))


def test_channels_last_comes_out_channels_last(form):
    x = torch.randn(2, 3, 5, 4).to(memory_format=torch.channels_last)
    assert global_conv(x, torch.randn(3, 9, 7)).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_computes_in_float32(form, dtype):
    torch.manual_seed(0)
    x, filters = torch.randn(2, 3, 6, 5, dtype=dtype, requires_grad=True), torch.randn(3, 11, 9, requires_grad=True)
    with torch.autocast("cpu", dtype=dtype):
        y = global_conv(x, filters)
    assert y.dtype == dtype
    exact = reference(x.double(), filters.double(), (5, 4))
    torch.testing.assert_close(y, exact.to(dtype), rtol=torch.finfo(dtype).eps, atol=1e-4)
    gradients = torch.autograd.grad(y.float().sum(), (x, filters))
    assert [gradient.dtype for gradient in gradients] == [dtype, torch.float32]


def test_fft_work_is_counted_apart(form):
    module, x = Long(), torch.randn(2, 3, 5, 4)
    with FlopCounterMode(display=False) as counter:
        module(x).sum().backward()
    assert counter.get_total_flops() == 0


def test_keeps_input_and_filters_only():
    x, filters = torch.randn(2, 3, 20, 20, requires_grad=True), torch.randn(3, 39, 39, requires_grad=True)
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.data_ptr()) or t, lambda t: t):
        global_conv(x, filters)
    assert sorted(kept) == sorted((x.data_ptr(), filters.data_ptr()))


@given(st.integers(1, 20_000))
def test_fast_length_is_smooth_and_close(least):
    length = fast_length(least)
    rest = length
    for prime in (2, 3, 5, 7):
        while rest % prime == 0:
            rest //= prime
    assert rest == 1
    assert least <= length <= 1.35 * least + 16


@pytest.mark.parametrize(
    ("x", "filters", "causal", "message"),
    [
        ((2, 3, 5, 4), (3, 5), False, "expected x"),
        ((2, 3), (3,), False, "expected x"),
        ((2, 3, 5, 4), (4, 5, 5), False, "x has 3 channels, filters have 4"),
        ((2, 3, 5, 4), (3, 5, 5), True, "no order of pixels"),
    ],
)
def test_shapes_that_do_not_fit(x, filters, causal, message):
    with pytest.raises(ValueError, match=message):
        global_conv(torch.zeros(x), torch.zeros(filters), causal=causal)
