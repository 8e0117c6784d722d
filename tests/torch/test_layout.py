"""Layers in the form that suits the device are the layers as they are written: values, gradients, dtypes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mixspec.compiler import layout
from mixspec.compiler.fast import drift, fast
from mixspec.compiler.freeze import freeze
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower, lower_layer
from mixspec.compiler.mixers.window import Window
from mixspec.compiler.modules import Pointwise, StarReLU
from mixspec.compiler.ops import native
from mixspec.compiler.ops.activated import NOTHING, ActivatedConv, ActivatedPointwise, Squared
from mixspec.compiler.ops.star_relu import star_relu
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import resolve

NETWORKS = {
    "convnext": "depths: [1, 1]\ndims: [8, 16]\nlayer_scale: 0.5",
    "isotropic": "depths: [2]\nwidth: 32\npatch: 6\nclass_token: false\nmixers: attention Ch=8\nlayer_scale: 0.5",
    "metaformer": "depths: [1, 1, 1, 1]\ndims: [8, 16, 24, 32]\n"
    "mixers: SepConv in stages 1-2, attention Ch=8 in stages 3-4",
    "resnet": "size: 14\nwidth: 16\nvariant: d\nmixers: [Conv, CADAsp b=2 agg=3 Ch=4, CADA b=2 agg=3 Ch=4, Conv]",
    "swin": "depths: [2, 2]\ndims: [16, 32]\nmixers: window w=4 Ch=8",
}
every_network = pytest.mark.parametrize("family", NETWORKS)


def network(family: str) -> Any:
    torch.manual_seed(0)
    model = lower(resolve(parse(f"name: x\nfamily: {family}\nimage: 36\nclasses: 5\n{NETWORKS[family]}\n")))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return model.eval()


def close(a: Tensor, b: Tensor, tolerance: float = 1e-5) -> bool:
    return a.shape == b.shape and bool((a - b).abs().max() <= tolerance * b.abs().max())


def gradients(model: nn.Module, x: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(model(x).square().sum(), [w for w in model.parameters() if w.requires_grad]))


@every_network
def test_networks_answer_and_learn_as_they_are_written(family: str) -> None:
    model, x = network(family).double(), torch.randn(2, 3, 36, 36, dtype=torch.float64)
    with layout.plain():
        expected, slopes = model(x), gradients(model, x)
    with torch.no_grad():
        assert close(model(x), expected, 1e-12)  # without gradients some layers take another form again
    assert close(model(x), expected, 1e-12)
    assert all(close(a, b, 1e-9) for a, b in zip(gradients(model, x), slopes, strict=True))
    with torch.no_grad():
        assert close(model.float()(x.float()), expected.float(), 1e-4)


@every_network
def test_maps_are_channels_last_all_the_way(family: str) -> None:
    model, seen = network(family), []
    for stage in model.stages:
        stage.register_forward_hook(lambda _, given, y: seen.append((given[0], y)))
    with torch.no_grad():
        model(torch.randn(2, 3, 36, 36))
    assert seen and all(t.is_contiguous(memory_format=torch.channels_last) for pair in seen for t in pair)


def test_the_switch_comes_back() -> None:
    x = torch.randn(1, 2, 3, 3)
    assert layout.tuned(x)
    with pytest.raises(KeyError), layout.plain():
        assert not layout.tuned(x)
        raise KeyError
    assert layout.tuned(x) and not layout.tuned(x.to("meta"))


@pytest.mark.parametrize("size", [(1, 1), (4, 5), (40, 40)])
def test_linear_maps_have_one_value_in_every_form(size: tuple[int, int]) -> None:
    linear = Pointwise(6, 4, dtype=torch.float64)
    x = torch.randn(2, 6, *size, dtype=torch.float64)
    expected = torch.einsum("oc,bchw->bohw", linear.weight, x) + linear.bias[:, None, None]
    threads = torch.get_num_threads()
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            for given in (x, x.contiguous(memory_format=torch.channels_last)):
                assert close(linear(given), expected, 1e-12)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_star_relu_and_its_gradients(memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64).contiguous(memory_format=memory_format).requires_grad_()
    scale, bias = (torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in (0.7, -0.3))
    y = star_relu(x, scale, bias)
    assert torch.allclose(y, scale * F.relu(x).square() + bias) and y.stride() == x.stride()
    assert torch.autograd.gradcheck(star_relu, (x, scale, bias))
    assert torch.autograd.gradgradcheck(star_relu, (x, scale, bias))
    frozen_scale = scale.detach()
    (slope,) = torch.autograd.grad(star_relu(x, frozen_scale, bias.detach()).sum(), x)
    assert torch.allclose(slope, 2 * frozen_scale * F.relu(x.detach()))


def test_star_relu_keeps_its_dtype_under_autocast() -> None:
    act = StarReLU().to_empty(device="cpu")
    with torch.no_grad():
        act.reset_parameters()
    x = torch.randn(2, 3, 4, 4, dtype=torch.bfloat16, requires_grad=True)
    y = act(x)
    y.float().sum().backward()
    assert y.dtype == x.dtype and x.grad is not None and act.scale.grad is not None
    assert act.scale.grad.dtype == torch.float32


@pytest.mark.skipif(native.library() is None, reason="there is no C++ compiler")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1, 64, 9, 9), (3, 70), (2, 4, 40, 40)])
def test_star_relu_in_one_pass(dtype: torch.dtype, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    scale, bias = torch.tensor([-0.7], requires_grad=True), torch.tensor([0.2], requires_grad=True)
    x = torch.randn(shape, dtype=dtype)
    maps = [x, x.contiguous(memory_format=torch.channels_last)] if x.dim() == 4 else [x]
    for given in (each.requires_grad_() for each in [*maps, x.transpose(0, 1)]):
        weight = torch.randn(given.shape, dtype=dtype)  # of another layout than the map, at times
        told = []
        for form in (native.library(), None):
            monkeypatch.setattr(native, "library", lambda form=form: form)
            y = star_relu(given, scale, bias)
            told.append((y, *torch.autograd.grad(y, (given, scale, bias), weight)))
        for one, other in zip(*told, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
        assert told[0][0].stride() == told[1][0].stride()


def test_masked_pairs_of_shifted_windows_weigh_nothing() -> None:
    """Subnormal weights would be as wrong to the eye, and several times slower."""
    mixer = Window(window=4, shift=2, head_channels=8)
    module = lower_layer(mixer, Grid(8, 8, 16))
    tiling = mixer.tiling(Grid(8, 8, 16))
    q, k = torch.randn(2, 1, tiling.count, 2, tiling.positions, 8).unbind(0)
    weights = mixer.logits(module, q, k, tiling).softmax(-1)
    assert bool((weights == 0).any())
    assert not bool(((weights > 0) & (weights < torch.finfo(torch.float32).tiny)).any())


@pytest.mark.parametrize("kind", ["relu", "gelu", "silu"])
def test_activations_join_convolutions_and_linear_maps(kind: str) -> None:
    torch.manual_seed(0)
    act = {"relu": nn.ReLU(), "gelu": nn.GELU(), "silu": nn.SiLU()}[kind]
    conv = nn.Conv2d(4, 8, 3, 2, 1, groups=2, bias=kind != "relu")
    model = nn.Sequential(conv, nn.BatchNorm2d(8), act, Pointwise(8, 6), copy.deepcopy(act)).eval()
    frozen = freeze(model)
    assert type(frozen[0]) is ActivatedConv and type(frozen[3]) is ActivatedPointwise
    for x in (torch.randn(2, 4, 9, 7), torch.randn(2, 4, 9, 7).contiguous(memory_format=torch.channels_last)):
        with torch.no_grad():
            assert close(frozen(x), model(x))
            with layout.plain():
                assert close(frozen(x), model(x))
        slopes = [
            torch.autograd.grad(each(given).sum(), given)[0]
            for each in (frozen, model)
            for given in [x.clone().requires_grad_()]
        ]
        assert close(*slopes)


def test_activations_stay_where_joining_would_be_wrong() -> None:
    ring = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), nn.ReLU()).eval()
    rough = nn.Sequential(nn.Conv2d(4, 4, 1), nn.GELU(approximate="tanh")).eval()
    x = torch.randn(2, 4, 6, 6)
    for model in (ring, rough):
        frozen = freeze(model)
        assert getattr(frozen[0], "then", NOTHING) == NOTHING and type(frozen[1]) is type(model[1])
        assert close(frozen(x), model(x))


@pytest.mark.parametrize("threads", [1, 2])
def test_convolutions_without_activations_are_the_same_for_any_number_of_threads(threads: int) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(4, 8, 1), Pointwise(8, 6), nn.Conv2d(6, 6, 3, 2, 1), Pointwise(6, 4)).eval()
    frozen, before = freeze(model), torch.get_num_threads()
    assert [part.then for part in frozen] == [NOTHING] * 4
    try:
        torch.set_num_threads(threads)
        for x in (torch.randn(2, 4, 9, 7), torch.randn(2, 4, 9, 7).contiguous(memory_format=torch.channels_last)):
            with torch.no_grad():
                assert close(frozen(x), model(x))
            with torch.autocast("cpu"):
                assert close(frozen(x), model(x), 1e-2)
    finally:
        torch.set_num_threads(before)


def test_what_is_left_of_star_relu() -> None:
    act = StarReLU().to_empty(device="cpu")
    with torch.no_grad():
        act.scale.fill_(-0.7)
        act.bias.fill_(0.2)
    model = nn.Sequential(Pointwise(4, 8), act).eval()
    frozen, x = freeze(model), torch.randn(2, 4, 5, 5)
    assert isinstance(frozen[1], Squared)
    with torch.no_grad():
        assert close(frozen(x), model(x))
    assert close(frozen(x.clone().requires_grad_()), model(x))


@every_network
def test_fast_copies_drift_a_little(family: str) -> None:
    model, x = network(family), torch.randn(8, 3, 36, 36)
    low = fast(model)
    with torch.inference_mode():
        assert low(x).dtype == torch.float32
    found = drift(model, low, x)
    assert 0 < found.largest < 0.05 and found.agree >= 0.75 and "drift" in str(found)
    assert drift(model, model, x).largest == 0
