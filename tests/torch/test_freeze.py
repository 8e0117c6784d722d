"""Frozen copies answer as their models do: every mixer, filter and family, whatever its weights and statistics are."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import mixspec
from mixspec.compiler.backbone import Backbone
from mixspec.compiler.downsamplers import registry as filters
from mixspec.compiler.families import registry as families
from mixspec.compiler.freeze import freeze
from mixspec.compiler.grid import Grid
from mixspec.compiler.layer import Layer, Parts
from mixspec.compiler.lower import lower, lower_layer
from mixspec.compiler.mixer import Mixer
from mixspec.compiler.mixers import registry as mixers
from mixspec.compiler.mixers.dw import DW
from mixspec.compiler.mixers.gabor import Gabor
from mixspec.compiler.mixers.hpx import Hpx
from mixspec.compiler.norms.ccbn import CenteredNorm
from mixspec.compiler.ops import native_conv
from mixspec.compiler.ops.stored import SIZES, StoredFilters
from mixspec.compiler.parse import parse
from mixspec.compiler.parts import Act, BatchNorm, Conv, Drop, Weight
from mixspec.compiler.resolve import resolve
from mixspec.zoo.conform.mixers import AT, close, default, image, variants
from mixspec.zoo.weights import WeightsError

SPECS = {
    "convnext": "depths: [1, 1]\ndims: [8, 16]\nnorm: BatchNorm\nmixers: [DW bias=true, DW k=4 Ch=4]\nlayer_scale: 0.5",
    "cvt": "depths: [1, 1, 2]\ndims: [16, 32, 32]\nmixers: ConvAttention Ch=8\nembedding: residual",
    "ensemble": "members:\n"
    "- {family: resnet, size: 14, width: 8, variant: d, mixers: Conv}\n"
    "- {family: metaformer, depths: [1], dims: [8], mixers: Hpx}",
    "isotropic": "depths: [2]\nwidth: 32\npatch: 8\nmixers: attention Ch=8",
    "metaformer": "depths: [1, 1, 1]\ndims: [8, 16, 24]\nnorm: BatchNorm\ndrop_path: 0.2\nhead_dropout: 0.1\n"
    "mixers: [Hpx, Hb, Hyena]",
    "resnet": "size: 14\nwidth: 16\nvariant: d\ndrop_path: 0.1\n"
    "mixers: [Conv, DAsp b=2 agg=3 Ch=4, CADAsp b=4 ca=3 agg=5 Ch=4, DW k=5 Ch=4]",
    "resnet_cifar": "depths: [1, 1]\nwidth: 8\nmixers: Gabor k=3\nfirst: [Gabor k=5, Conv]",
    "san": "depths: [1, 1]\ndims: [32, 64]\nmixers: SAN k=3 Ch=4",
    "swin": "depths: [2, 1]\ndims: [16, 32]\nblock: conv\nmixers: [IDynamic k=3 G=4, DDW k=3]",
    "timm": "model: resnet10t",
    "vgg": "depths: [1, 2]\ndims: [8, 16]\nmixers: Conv bias=true",
}
"""A small network of every family."""

LEFT = {"convnext": 1, "cvt": 0, "ensemble": 0, "resnet": 2, "resnet_cifar": 0, "timm": 1, "vgg": 0}
"""Batch norms that stay: where a sum or the aggregation of CADAsp or DAsp stands in front of them; and the first of
timm's networks, which call their own parts from more places than forward."""

every_family = pytest.mark.parametrize("family", sorted(families))


def network(family: str) -> Backbone:
    torch.manual_seed(0)
    text = f"name: x\nfamily: {family}\nimage: 32\nclasses: 5\n{SPECS[family]}\n"
    return live(lower(resolve(parse(text))), torch.randn(8, 3, 32, 32))


def live(model: Any, x: Tensor) -> Any:
    """With statistics of ``x``, and neither zeros nor ones among the weights."""
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # of all batches alike
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.1 * torch.randn_like(weight) * (weight.std() if weight.numel() > 1 else 1) + 0.01)
        model.train()(x)
    return model.eval()


def norms(model: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in model.modules())


def agrees(model: nn.Module, x: Tensor) -> nn.Module:
    """The frozen copy, which in float64 is the model but for rounding, and in float32 within 1e-5."""
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        expected, frozen = model(x), freeze(model)
        double = copy.deepcopy(model).double()
        reference = double(x.double())
        assert close(freeze(double)(x.double()), reference, 1e-10)
        assert close(copy.deepcopy(frozen).double()(x.double()), reference, 1e-4)
        # a model so conditioned that its own rounding is larger cannot be met more closely than that
        own = float((expected - reference).abs().max() / reference.abs().max())
        assert close(frozen(x), expected, max(1e-5, 3 * own))
    after = model.state_dict()
    assert list(after) == list(before) and all(torch.equal(value, after[key]) for key, value in before.items())
    return frozen


@pytest.mark.parametrize("name", sorted(mixers))
def test_every_mixer_freezes_to_the_same(name: str) -> None:
    for mixer in variants(mixers[name]):
        torch.manual_seed(0)
        agrees(live(lower_layer(mixer, AT), image(8)), image(2))


@pytest.mark.parametrize("name", sorted(filters))
def test_every_filter_freezes_to_the_same(name: str) -> None:
    agrees(lower_layer(filters[name](), AT).eval(), image(2))


@pytest.mark.parametrize("name", sorted(mixers))
def test_frozen_mixers_run_at_any_size(name: str) -> None:
    mixer = default(mixers[name])
    if mixer.traits(AT).any_size:
        torch.manual_seed(0)
        model = live(lower_layer(mixer, AT), image(8))
        for height, width in ((12, 10), (8, 8), (16, 9)):
            agrees(model, torch.randn(2, AT.c, height, width))


@pytest.mark.parametrize("name", sorted(mixers))
def test_frozen_mixers_are_exported(name: str) -> None:
    torch.manual_seed(0)
    frozen, x = freeze(lower_layer(default(mixers[name]), AT).eval()), image()
    assert close(torch.export.export(frozen, (x,)).module()(x), frozen(x))


@every_family
def test_every_family_freezes_to_the_same(family: str) -> None:
    model, x = network(family), torch.randn(2, 3, 32, 32)
    frozen = agrees(model, x)
    assert isinstance(frozen, type(model)) and not frozen.training
    assert norms(frozen) == LEFT.get(family, norms(frozen)) <= norms(model)
    if isinstance(frozen, Backbone):
        with torch.no_grad():
            last, maps = frozen.forward_intermediates(x)
            expected, all_expected = model.forward_intermediates(x)
            for one, other in zip([last, *maps], [expected, *all_expected], strict=True):
                assert close(one, other, 1e-4)
            features = frozen.forward_features(x)
            assert torch.equal(frozen.forward_head(features), frozen(x))


@every_family
def test_frozen_networks_are_copied_and_pickled(family: str) -> None:
    frozen, x = freeze(network(family)), torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        expected = frozen(x)
        for again in (copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen)), freeze(frozen)):
            assert torch.equal(again(x), expected) and type(again) is type(frozen)
            with pytest.raises(RuntimeError, match="cannot be trained"):
                again.train()


def test_every_family_has_a_spec() -> None:
    assert sorted(SPECS) == sorted(families)


def test_a_frozen_network_stays_in_evaluation() -> None:
    model = network("resnet").train()
    frozen = freeze(model)
    assert model.training and not any(part.training for part in frozen.modules())
    assert frozen.eval() is frozen and frozen.train(False) is frozen
    with pytest.raises(RuntimeError, match="train the model it was made from"):
        frozen.train()
    assert not any(part.training for part in frozen.modules())
    assert not any(weight.requires_grad for weight in frozen.parameters())
    assert any(weight.requires_grad for weight in model.parameters())
    x = torch.randn(2, 3, 32, 32, requires_grad=True)
    frozen(x).sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0


def test_a_frozen_network_is_no_weights_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no longer what its spec says"):
        mixspec.save(freeze(network("resnet")), tmp_path / "a.safetensors")


def test_a_frozen_network_compiles_and_is_built_on_meta() -> None:
    frozen, x = freeze(network("metaformer")), torch.randn(2, 3, 32, 32)
    torch._dynamo.reset()
    with torch.no_grad():
        assert close(torch.compile(frozen, fullgraph=True, backend="aot_eager")(x), frozen(x))
    shape = lower(resolve(parse(f"name: x\nfamily: resnet\nimage: 32\n{SPECS['resnet']}\n")), device="meta")
    assert norms(freeze(shape)) == LEFT["resnet"]
    assert freeze(shape)(x.to("meta")).shape == (2, 1000)


def test_kernels_of_few_parameters_become_weights() -> None:
    conv = freeze(lower_layer(Gabor(kernel=5).settle(1, AT), AT)).conv
    assert type(conv) is nn.Conv2d and conv.weight.shape == (32, 32, 5, 5)
    assert isinstance(freeze(lower_layer(DW(head_channels=4), AT)), nn.Conv2d)


def test_filters_are_computed_once_and_spectra_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_conv, "faster", lambda layout, device: False)  # which needs no spectra
    mixer = Hpx().settle(1, Grid(12, 12, 8))
    model = lower_layer(mixer, Grid(12, 12, 8)).eval()
    frozen = freeze(model)
    assert isinstance(frozen.filter, StoredFilters)
    assert not any("mlp" in key or "positions" in key for key in frozen.state_dict())
    sizes = [(12 + extra, 12) for extra in range(SIZES + 2)]
    with torch.inference_mode():
        for size in sizes:
            frozen(torch.randn(1, 8, *size))
    assert len(frozen.filter.spectra) == SIZES
    kept = list(frozen.filter.spectra.values())
    x = torch.randn(2, 8, *sizes[-1])
    with torch.no_grad():
        assert close(frozen(x), model(x))
        assert all(a is b for a, b in zip(kept, frozen.filter.spectra.values(), strict=True))
    # made without gradients, of use with them
    assert close(frozen(x.clone().requires_grad_()), model(x))
    with torch.no_grad():
        frozen.filter.filters.mul_(2)
        assert not close(frozen(x), model(x))
        low = frozen.bfloat16()(x.bfloat16())
        assert low.dtype == torch.bfloat16 and low.isfinite().all()


@dataclass(frozen=True)
class Odd(Layer):
    """Layers written without a thought of freezing: each way to use a convolution and a norm that forbids to fold."""

    way: str

    def parts(self, at: Grid) -> Parts:
        c = at.c
        return {
            "conv": Conv(c, c, 1, bias=True),
            "norm": BatchNorm(c),
            "act": Act("relu", c),
            "drop": Drop(0.5),
            "scale": Weight((c,)),
        }

    def forward(self, m: Any, x: Tensor) -> Tensor:
        y = m.conv(x)
        match self.way:
            case "folds":
                return m.drop(m.norm(y)) + x
            case "read twice":
                return m.norm(y) + y
            case "changed in place":
                z = m.norm(y)
                y.relu_()
                return z + y
            case "called twice":
                return m.norm(y) + m.conv(m.act(x))
            case "norm called twice":
                return m.norm(m.norm(y))
            case "weight is read":
                return m.norm(y) * m.conv.weight.mean()
            case "weights are walked":
                return m.norm(y) * sum(weight.abs().mean() for weight in m.parameters())
            case "statistics are read":
                return m.norm(y) + m.norm.running_var[:, None, None]
            case "depends on the image":
                return m.norm(y) if x.mean() > 0 else y
            case "depends on the size":
                return m.norm(y) if x.shape[2] > 10 else y
            case "dropout's rate":
                return nn.functional.dropout(m.norm(y), m.drop.p, m.training)
            case _:
                return m.norm(self._two(m, x))

    def _two(self, m: Any, x: Tensor) -> Tensor:
        return m.conv(x) if isinstance(x, Tensor) else x


FOLDED = {"folds": True, "dropout's rate": True}
WAYS = [
    "folds", "read twice", "changed in place", "called twice", "norm called twice", "weight is read",
    "weights are walked", "statistics are read", "depends on the image", "depends on the size", "dropout's rate",
    "what the input is",
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_layers_that_know_nothing_of_it_stay_right(way: str) -> None:
    torch.manual_seed(0)
    model = live(lower_layer(Odd(way), AT), image(8))
    for shift in (1, -1):
        frozen = agrees(model, torch.randn(2, AT.c, 12, 8) + shift)
        agrees(model, image() + shift)
        assert norms(frozen) == (0 if FOLDED.get(way) else 1)


def test_a_norm_with_its_own_means_is_left_alone() -> None:
    chain = nn.Sequential(nn.Conv2d(32, 32, 1), lower_layer(CenteredNorm(32, 1e-5), AT))
    assert norms(agrees(live(chain, image(8)), image())) == 1


def test_shared_and_watched_modules_are_left_alone() -> None:
    conv, seen = nn.Conv2d(32, 32, 3, padding=1), []
    shared = nn.Sequential(conv, nn.BatchNorm2d(32), nn.ReLU(), conv, nn.BatchNorm2d(32))
    assert norms(agrees(live(shared, image(8)), image())) == 2
    tied = nn.Sequential(conv, nn.BatchNorm2d(32), nn.Conv2d(32, 32, 3, padding=1))
    tied[2].weight = conv.weight
    assert norms(agrees(live(tied, image(8)), image())) == 1
    watched = nn.Sequential(nn.Conv2d(32, 32, 1), nn.BatchNorm2d(32))
    watched[0].register_forward_hook(lambda module, args, y: seen.append(y))
    assert norms(freeze(watched)) == 1


def test_a_mixer_of_its_own_kind_may_take_part() -> None:
    class Doubled(Mixer):
        """Twice the input, by a kernel made of one weight."""

        notation = "Doubled"

        def parts(self, at: Grid) -> Parts:
            return {"log": Weight((at.c, 1, 1, 1))}

        def forward(self, m: Any, x: Tensor) -> Tensor:
            return nn.functional.conv2d(x, 2 * m.log.exp(), groups=x.shape[1])

        def freeze(self, m: Any) -> nn.Module:
            from mixspec.compiler.modules import convolution

            return convolution(2 * m.log.exp(), groups=m.at.c)

    frozen = agrees(live(nn.Sequential(lower_layer(Doubled(), AT), nn.BatchNorm2d(32)), image(8)), image())
    assert norms(frozen) == 0 and type(frozen[0]) is nn.Conv2d
