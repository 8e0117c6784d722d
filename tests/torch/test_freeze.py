"""Frozen copies answer as their models do: every mixer, filter and family, whatever its weights and statistics are."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
import torch

import mixspec
from mixspec.compiler.backbone import Backbone
from mixspec.compiler.downsamplers import registry as filters
from mixspec.compiler.families import registry as families
from mixspec.compiler.freeze import freeze
from mixspec.compiler.lower import lower, lower_layer
from mixspec.compiler.mixers import registry as mixers
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import resolve
from mixspec.zoo.conform.mixers import AT, close, default, image, variants
from mixspec.zoo.weights import WeightsError

from .freezing import agrees, live, norms

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
