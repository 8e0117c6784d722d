"""Aggregation over a window against a reference that spells out every tap, values and gradients, in float64."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from agreement import same
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import conv2d, pad
from torch.utils.flop_counter import FlopCounterMode

from mixspec.compiler.ops import native
from mixspec.compiler.ops.aggregate import aggregate, aggregate_decomposed
from mixspec.compiler.ops.blocked import BANDS, DENSE, NATIVE, SHIFTS, form_of
from mixspec.compiler.ops.window import Window

from .users import Predicted


def reference(x: Tensor, maps: Tensor, kernel: int, stride: int) -> Tensor:
    """Tap by tap: shift the padded input, weigh it by that tap's plane of the map, add."""
    (b, c, h, w), heads = x.shape, maps.shape[1] // kernel**2
    ho, wo, low = (h - 1) // stride + 1, (w - 1) // stride + 1, kernel // 2
    padded = pad(x, (low, kernel + stride, low, kernel + stride))
    planes = maps.expand(b, -1, ho, wo).unflatten(1, (heads, kernel**2))
    total = x.new_zeros(b, c, ho, wo)
    for u, (dy, dx) in enumerate(product(range(kernel), repeat=2)):
        shifted = padded[:, :, dy : dy + stride * ho : stride, dx : dx + stride * wo : stride]
        total = total + shifted * planes[:, :, u].repeat_interleave(c // heads, dim=1)
    return total


def double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def map_shape(kind: str, batch: int, channels: int, out: tuple[int, int]) -> tuple[int, ...]:
    return {
        "position": (batch, channels, *out),
        "position, one for all images": (1, channels, *out),
        "image": (batch, channels, 1, 1),
        "static": (1, channels, 1, 1),
    }[kind]


KINDS = ["position", "position, one for all images", "image", "static"]

sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))


@settings(max_examples=60, deadline=None)
@given(sizes, st.integers(1, 6), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.sampled_from(KINDS))
def test_equals_the_definition(size, kernel, stride, heads, batch, kind):
    torch.manual_seed(0)
    out = tuple(-(-n // stride) for n in size)
    x, maps = double(batch, heads * 2, *size), double(*map_shape(kind, batch, heads * kernel**2, out))
    same(aggregate(x, maps, kernel=kernel, stride=stride), reference(x, maps, kernel, stride), (x, maps))


FORMS = {"shifts": SHIFTS, "bands": BANDS, "dense": DENSE, **({"native": NATIVE} if native.library() else {})}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@settings(max_examples=40, deadline=None)
@given(size=sizes, kernel=st.integers(1, 6), stride=st.integers(1, 3), batch=st.integers(1, 3), one_map=st.booleans())
def test_every_form_gives_the_same_block(form, size, kernel, stride, batch, one_map):
    torch.manual_seed(0)
    window = Window(kernel, stride, *size, channels=2)
    x = double(batch, 6, *size)
    maps = double(1 if one_map else batch, 3 * kernel**2, window.out_height, window.out_width)
    planes = maps.detach().view(-1, 3, kernel**2, window.out_pixels)
    expected = reference(x, maps, kernel, stride)
    gradient = torch.randn_like(expected)
    dx, dmaps = torch.autograd.grad(expected, (x, maps), gradient)

    shape = (batch, 3, 2, window.out_pixels)
    y, made_dx, made_dmaps = (
        torch.full(shape, torch.nan).double(),
        torch.full_like(x, torch.nan),
        torch.ones_like(planes),
    )
    with torch.no_grad():
        form.forward(x, planes, y, window)
        form.input_gradient(planes, gradient.view(shape), made_dx, window)
        form.map_gradient(x, gradient.view(shape), made_dmaps, window)
    torch.testing.assert_close((y.view_as(expected), made_dx), (expected.detach(), dx))
    torch.testing.assert_close(made_dmaps.view_as(maps) - 1, dmaps)


@pytest.mark.parametrize(
    ("kernel", "size", "channels", "form", "compiled"),
    [
        (7, 56, 16, SHIFTS, NATIVE),
        (7, 14, 4, SHIFTS, NATIVE),
        (3, 14, 16, SHIFTS, NATIVE),
        (7, 28, 16, BANDS, NATIVE),
        (9, 28, 16, BANDS, NATIVE),
        (7, 7, 16, DENSE, NATIVE),
        (7, 7, 2, DENSE, NATIVE),
    ],
)
def test_form_follows_shape(kernel, size, channels, form, compiled, monkeypatch):
    window, cpu = Window(kernel, 1, size, size, channels), torch.device("cpu")
    for there, expected in ((False, form), (True, compiled)):
        monkeypatch.setattr(native, "available", lambda device, there=there: there)
        assert form_of(window, cpu) is expected


def test_without_a_compiler_there_is_no_library(monkeypatch):
    monkeypatch.setattr(native, "COMPILERS", ("no-such-compiler",))
    monkeypatch.delenv("CXX", raising=False)
    assert native.library.__wrapped__() is None


def test_a_compiler_that_fails_is_a_warning(monkeypatch, tmp_path):
    monkeypatch.setenv(native.SWITCH, "1")
    monkeypatch.setenv("CXX", "false")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.warns(UserWarning, match="no native operators.*exit status 1"):
        assert native.library.__wrapped__() is None
    assert not list(tmp_path.rglob("*.so"))


@pytest.mark.skipif(native.library() is None, reason="there is no C++ compiler")
def test_threads_share_the_heads():
    torch.manual_seed(0)
    x, maps = torch.randn(2, 6, 9, 8), torch.randn(2, 27, 9, 8)
    before, expected = torch.get_num_threads(), reference(x, maps, 3, 1)
    try:
        torch.set_num_threads(4)
        torch.testing.assert_close(aggregate(x, maps, kernel=3), expected)
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(native.library() is None, reason="there is no C++ compiler")
@pytest.mark.parametrize("groups", [1, 3], ids=["one mixture for all heads", "one a head"])
@pytest.mark.parametrize("images", [1, 2], ids=["one mixture for all images", "one an image"])
def test_threads_share_the_gradients_of_factors(groups, images):
    torch.manual_seed(0)
    x, alpha = double(2, 6, 9, 8), double(images, groups * 2, 9, 8)
    bank, position, before = double(27, 2, 1, 1), double(27), torch.get_num_threads()
    expected = reference(x, conv2d(alpha, bank, position, groups=groups), 3, 1)
    try:
        torch.set_num_threads(4)  # for six heads: shares begin and end within an image
        same(aggregate_decomposed(x, alpha, bank, position, kernel=3), expected, (x, alpha, bank, position))
    finally:
        torch.set_num_threads(before)


@settings(max_examples=60, deadline=None)
@given(sizes, st.integers(1, 5), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.booleans(), st.booleans())
def test_decomposed_equals_the_map_built_by_a_convolution(size, kernel, stride, heads, batch, per_head, one_alpha):
    torch.manual_seed(0)
    groups, base = heads if per_head else 1, 3
    out = tuple(-(-n // stride) for n in size)
    x, alpha = double(batch, heads * 2, *size), double(1 if one_alpha else batch, groups * base, *out)
    bank, position = double(heads * kernel**2, base, 1, 1), double(heads * kernel**2)
    actual = aggregate_decomposed(x, alpha, bank, position, kernel=kernel, stride=stride)
    maps = conv2d(alpha, bank, position, groups=groups)
    same(actual, reference(x, maps, kernel, stride), (x, alpha, bank, position))


@pytest.mark.parametrize("size", [(7, 7), (14, 14), (50, 28)])
@pytest.mark.parametrize(("kernel", "channels"), [(7, 16), (9, 4)])
def test_published_window_sizes(size, kernel, channels):
    torch.manual_seed(0)
    heads, base = 3, 5
    x, alpha = double(2, heads * channels, *size), double(2, base, *size)
    bank, position = double(heads * kernel**2, base, 1, 1), double(heads * kernel**2)
    maps = conv2d(alpha, bank, position).detach().requires_grad_()
    same(aggregate(x, maps, kernel=kernel), reference(x, maps, kernel, 1), (x, maps))
    actual = aggregate_decomposed(x, alpha, bank, position, kernel=kernel)
    same(actual, reference(x, conv2d(alpha, bank, position), kernel, 1), (x, alpha, bank, position))


def test_decomposed_without_position_encoding():
    x, alpha, bank = double(2, 4, 5, 6), double(2, 3, 5, 6), double(18, 3, 1, 1)
    actual = aggregate_decomposed(x, alpha, bank, None, kernel=3)
    same(actual, reference(x, conv2d(alpha, bank), 3, 1), (x, alpha, bank))


def test_static_kernels_may_come_as_heads_by_kernel():
    x, kernels = double(2, 6, 5, 4), double(3, 3, 3)
    same(aggregate(x, kernels, kernel=3), reference(x, kernels.reshape(1, 27, 1, 1), 3, 1), (x, kernels))


@pytest.mark.parametrize("shape", [(2, 18, 3, 2), (2, 18, 1, 1)])
def test_gradcheck(shape):
    x, maps = double(2, 4, 5, 4), double(*shape)
    assert torch.autograd.gradcheck(lambda x, maps: aggregate(x, maps, kernel=3, stride=2), (x, maps))


def test_gradcheck_decomposed():
    leaves = double(2, 4, 3, 4), double(2, 4, 3, 4), double(18, 2, 1, 1), double(18)
    assert torch.autograd.gradcheck(lambda *leaves: aggregate_decomposed(*leaves, kernel=3), leaves)


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # of opcheck's own making
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("needs", [(True, True), (True, False), (False, True)])
def test_opcheck(channels_last, needs):
    x, maps = torch.randn(2, 4, 6, 4), torch.randn(2, 18, 3, 2)
    x = x.to(memory_format=torch.channels_last) if channels_last else x
    x, maps = x.requires_grad_(needs[0]), maps.requires_grad_(needs[1])
    torch.library.opcheck(torch.ops.mixspec.aggregate, (x, maps, 3, 2))
    bank = torch.randn(18, 5, 1, 1, requires_grad=needs[1])
    alpha = torch.randn(2, 5, 3, 2).to(memory_format=torch.channels_last)
    torch.library.opcheck(torch.ops.mixspec.aggregate_decomposed, (x, alpha, bank, None, 3, 2))


def test_maps_may_be_channels_last():
    x, maps = (double(2, n, 6, 5).to(memory_format=torch.channels_last) for n in (8, 18))
    same(aggregate(x, maps, kernel=3), reference(x, maps, 3, 1), (x, maps))


def laid(tensor: Tensor, layout: str) -> Tensor:
    """The same numbers, differently laid out."""
    match layout:
        case "channels last":
            return tensor.to(memory_format=torch.channels_last)
        case "transposed":
            return tensor.transpose(2, 3).contiguous().transpose(2, 3)
        case "one image for all":
            return tensor[:1].expand_as(tensor)
        case _:
            return tensor.repeat_interleave(2, 1).repeat_interleave(3, 3)[:, ::2, :, ::3]


@pytest.mark.parametrize("layout", ["channels last", "transposed", "one image for all", "with gaps"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("channels", "size"), [(4, (8, 4)), (8, (6, 9)), (9, (5, 14))])
def test_any_layout(layout, stride, channels, size):
    torch.manual_seed(0)
    heads, out = 2, tuple(-(-n // stride) for n in size)
    shapes = (2, heads * channels, *size), (2, 5, *out), (2, heads * 9, *out)
    x, alpha, maps = (laid(torch.randn(shape).double(), layout).requires_grad_() for shape in shapes)
    bank, position = double(heads * 9, 5, 1, 1), double(heads * 9)
    same(aggregate(x, maps, kernel=3, stride=stride), reference(x, maps, 3, stride), (x, maps))
    actual = aggregate_decomposed(x, alpha, bank, position, kernel=3, stride=stride)
    expected = reference(x, conv2d(alpha, bank, position), 3, stride)
    same(actual, expected, (x, alpha, bank, position))


def test_channels_last_comes_out_channels_last():
    x = torch.randn(2, 8, 6, 5).to(memory_format=torch.channels_last).requires_grad_()
    y = aggregate(x, torch.randn(2, 18, 6, 5), kernel=3)
    assert y.is_contiguous(memory_format=torch.channels_last)
    (dx,) = torch.autograd.grad(y.sum(), x)
    assert dx.is_contiguous(memory_format=torch.channels_last)
    alpha = torch.randn(2, 5, 6, 5).to(memory_format=torch.channels_last).requires_grad_()
    (dalpha,) = torch.autograd.grad(
        aggregate_decomposed(x, alpha, torch.randn(18, 5, 1, 1), None, kernel=3).sum(), alpha
    )
    assert dalpha.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_sums_in_float32(dtype):
    torch.manual_seed(0)
    module, x = Predicted(), torch.randn(2, 4, 6, 5)
    low = x.to(dtype)
    with torch.autocast("cpu", dtype=dtype):
        maps = module.bank(module.context(x))
        assert maps.dtype == dtype
        y = aggregate(low, maps, kernel=3)
        assert module(x).dtype == torch.float32, "the result follows x, here the uncast input"
    assert y.dtype == dtype
    exact = reference(low.double(), maps.double(), 3, 1)
    torch.testing.assert_close(y, exact.to(dtype), rtol=torch.finfo(dtype).eps, atol=1e-5)


def test_gradients_have_the_dtype_of_their_input():
    x, maps = torch.randn(2, 4, 6, 5, dtype=torch.bfloat16, requires_grad=True), torch.randn(2, 9, 6, 5)
    y = aggregate(x, maps.requires_grad_(), kernel=3)
    dx, dmaps = torch.autograd.grad(y.float().sum(), (x, maps))
    assert (dx.dtype, dmaps.dtype) == (torch.bfloat16, torch.float32)


@pytest.mark.parametrize(("shape", "stride"), [((2, 98, 8, 8), 1), ((2, 98, 4, 4), 2), ((2, 98, 1, 1), 1)])
def test_flops_of_forward_and_backward(shape, stride):
    x, maps = torch.randn(2, 16, 8, 8, requires_grad=True), torch.randn(*shape, requires_grad=True)
    with FlopCounterMode(display=False) as forward:
        y = aggregate(x, maps, kernel=7, stride=stride)
    with FlopCounterMode(display=False) as backward:
        y.sum().backward()
    expected = 2 * 2 * 16 * (8 // stride) ** 2 * 49
    assert (forward.get_total_flops(), backward.get_total_flops()) == (expected, 2 * expected)


def test_flops_of_one_gradient_only():
    x, maps = torch.randn(1, 4, 5, 5, requires_grad=True), torch.randn(1, 9, 5, 5)
    y = aggregate(x, maps, kernel=3)
    with FlopCounterMode(display=False) as backward:
        y.sum().backward()
    assert backward.get_total_flops() == 2 * 4 * 25 * 9


def test_flops_of_the_decomposed_form():
    heads, base, taps, pixels, batch, channels = 4, 6, 9, 16, 3, 8
    x, alpha = torch.randn(batch, channels, 8, 8, requires_grad=True), torch.randn(batch, base, 4, 4)
    bank = torch.randn(heads * taps, base, 1, 1, requires_grad=True)
    with FlopCounterMode(display=False) as forward:
        y = aggregate_decomposed(x, alpha, bank, None, kernel=3, stride=2)
    with FlopCounterMode(display=False) as backward:
        y.sum().backward()
    construction, aggregation = 2 * batch * pixels * heads * taps * base, 2 * batch * channels * pixels * taps
    assert forward.get_total_flops() == construction + aggregation
    assert backward.get_total_flops() == 3 * construction + 2 * aggregation


def test_decomposed_keeps_its_factors_only():
    leaves = [
        torch.randn(shape, requires_grad=True) for shape in ((2, 8, 12, 12), (2, 3, 12, 12), (98, 3, 1, 1), (98,))
    ]
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.data_ptr()) or t, lambda t: t):
        aggregate_decomposed(*leaves, kernel=7)
    assert sorted(kept) == sorted(leaf.data_ptr() for leaf in leaves)


@pytest.mark.parametrize(
    ("x", "maps", "message"),
    [
        ((2, 4, 5, 5), (2, 10, 5, 5), "10 map channels are not heads"),
        ((2, 4, 5, 5), (2, 27, 5, 5), "3 heads do not divide 4 channels"),
        ((2, 4, 5, 5), (3, 9, 5, 5), "maps hold 3 images, x holds 2"),
        ((2, 4, 5, 5), (2, 9, 5, 4), "maps are 5x4, expected 5x5 or 1x1"),
        ((4, 5, 5), (2, 9, 5, 5), "x must be"),
        ((2, 4, 5, 5), (2, 9), "maps must be"),
    ],
)
def test_shapes_that_do_not_fit(x, maps, message):
    with pytest.raises(ValueError, match=message):
        aggregate(torch.zeros(x), torch.zeros(maps), kernel=3)


@pytest.mark.parametrize(
    ("alpha", "bank", "position", "message"),
    [
        ((2, 3, 5, 5), (18, 3), (18,), "bank must be"),
        ((2, 3, 4, 5), (18, 3, 1, 1), (18,), "alpha is"),
        ((3, 3, 5, 5), (18, 3, 1, 1), (18,), "alpha holds 3 images"),
        ((2, 5, 5, 5), (18, 3, 1, 1), (18,), r"alpha has 5 channels, expected 3 or 2 \* 3"),
        ((2, 3, 5, 5), (18, 3, 1, 1), (9,), "position must be"),
    ],
)
def test_factors_that_do_not_fit(alpha, bank, position, message):
    with pytest.raises(ValueError, match=message):
        aggregate_decomposed(
            torch.zeros(2, 4, 5, 5), torch.zeros(alpha), torch.zeros(bank), torch.zeros(position), kernel=3
        )
