"""timm's model contract, for every family in a small size."""

from __future__ import annotations

import copy
import gc
import pickle

import pytest
import torch

from mixspec.compiler import layout
from mixspec.compiler.backbone import Backbone
from mixspec.compiler.lower import lower
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import resolve

METAFORMER = "name: m\nfamily: metaformer\ndepths: [1, 1, 2, 1]\ndims: [16, 24, 32, 40]\nimage: 64\nclasses: 7\n"
RESNET = "name: r\nfamily: resnet\nsize: 14\nwidth: 16\nvariant: d\nimage: 64\nclasses: 7\n"
SWIN = "name: s\nfamily: swin\ndepths: [1, 1, 2, 1]\ndims: [16, 32, 64, 128]\nimage: 64\nclasses: 7\n"
SPECS = {
    "metaformer": METAFORMER + "mixers: SepConv in stages 1-2, attention Ch=8 in stages 3-4\n",
    "hpx": METAFORMER + "mixers: Hpx in stages 1-2, Hb in stages 3-4\n",
    "resnet": RESNET + "mixers: CADAsp b=4 ca=3 agg=5 Ch=4\n",
    "swin": SWIN + "mixers: window Ch=8\n",
}


@pytest.fixture(params=SPECS)
def text(request: pytest.FixtureRequest) -> str:
    return SPECS[request.param]


@pytest.fixture
def model(text: str) -> Backbone:
    torch.manual_seed(0)
    return lower(resolve(parse(text))).eval()


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def test_forward_is_features_then_head(model: Backbone, x: torch.Tensor) -> None:
    features = model.forward_features(x)
    assert features.shape == (2, model.num_features, 2, 2)
    assert torch.equal(model.forward_head(features), model(x))
    assert model.forward_head(features, pre_logits=True).shape == (2, model.head_hidden_size)
    assert model(x).isfinite().all()


def test_feature_info_matches_the_maps(model: Backbone, x: torch.Tensor) -> None:
    final, maps = model.forward_intermediates(x)
    assert torch.equal(final, model.forward_features(x))
    assert len(maps) == len(model.feature_info) >= 3
    for info, each in zip(model.feature_info, maps, strict=True):
        assert each.shape == (2, info["num_chs"], 64 // info["reduction"], 64 // info["reduction"])
        assert model.get_submodule(info["module"]) is not None


def test_intermediates_by_index(model: Backbone, x: torch.Tensor) -> None:
    every = model.forward_intermediates(x, intermediates_only=True)
    for ask, expected in ((2, every[2:]), ([0, -1], [every[0], every[-1]])):
        got = model.forward_intermediates(x, ask, intermediates_only=True)
        assert all(map(torch.equal, got, expected))
    assert torch.equal(model.forward_intermediates(x, [1], stop_early=True)[0], every[1])
    for wrong in ([7], [-9], []):
        with pytest.raises(ValueError, match="indices"):
            model.forward_intermediates(x, wrong)
    with pytest.raises(ValueError, match="NCHW"):
        model.forward_intermediates(x, output_fmt="NHWC")


def test_reset_classifier(model: Backbone, x: torch.Tensor) -> None:
    model.reset_classifier(3)
    assert model(x).shape == (2, 3) and model.num_classes == 3
    assert model.get_classifier().weight.abs().sum() > 0
    model.reset_classifier(0)
    assert model(x).shape == (2, model.head_hidden_size)
    model.reset_classifier(0, "")
    assert model(x).shape == (2, model.head_hidden_size, 2, 2)
    model.reset_classifier(4, "avg")
    assert model(x).shape == (2, 4)
    with pytest.raises(ValueError, match="global_pool"):
        model.reset_classifier(4, "max")


def test_pruning_leaves_no_unused_parameters(model: Backbone, x: torch.Tensor) -> None:
    expected = model.forward_intermediates(x, [1], intermediates_only=True)[0]
    assert model.prune_intermediate_layers([1]) == [1]
    assert torch.equal(model.forward_features(x), expected)
    assert model(x).shape == (2, model.num_features)
    model(x).sum().backward()
    assert all(weight.grad is not None for weight in model.parameters() if weight.requires_grad)


def test_checkpointing_changes_nothing(model: Backbone, x: torch.Tensor) -> None:
    def gradients(module: Backbone) -> list[torch.Tensor]:
        module.zero_grad()
        module(x).square().sum().backward()
        return [weight.grad.clone() for weight in module.parameters() if weight.grad is not None]

    plain = gradients(model)
    model.set_grad_checkpointing()
    again = gradients(model)
    assert len(plain) == len(again) and all(
        torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(plain, again, strict=True)
    )


def test_layer_decay_groups_cover_every_parameter(model: Backbone) -> None:
    from timm.models import group_parameters

    groups = group_parameters(model, model.group_matcher())
    names = [name for group in groups.values() for name in group]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    assert len(groups) > sum(model.layer.depths)
    assert model.no_weight_decay() <= {name for name, _ in model.named_parameters()}


def test_copies_and_pickles(model: Backbone, x: torch.Tensor) -> None:
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(x), model(x))


def test_same_seed_same_weights(model: Backbone, text: str) -> None:
    torch.manual_seed(0)
    other = lower(resolve(parse(text)))
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))


def test_modules_of_equal_layers_share_nothing(text: str) -> None:
    both = [lower(resolve(parse(text)), device="meta") for _ in range(2)]
    held = [
        own
        for model in both
        for module in model.modules()
        for own in [module, *(box for box in vars(module).values() if isinstance(box, dict | set | list))]
    ]
    tensors = [tensor for model in both for tensor in [*model.parameters(), *model.buffers()]]
    assert len({id(own) for own in held}) == len(held) and len({id(own) for own in tensors}) == len(tensors)
    both[0].stem.register_forward_hook(lambda *_: None)
    assert sum(bool(module._forward_hooks) for model in both for module in model.modules()) == 1


def test_a_new_default_dtype_counts(text: str) -> None:
    spec = resolve(parse(text))
    lower(spec, device="meta")
    torch.set_default_dtype(torch.float64)
    try:
        assert {weight.dtype for weight in lower(spec, device="meta").parameters()} == {torch.float64}
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_collector_is_left_as_it_was(text: str) -> None:
    spec = resolve(parse(text))
    for switch, on in ((gc.disable, False), (gc.enable, True)):
        switch()
        lower(spec, device="meta")
        assert gc.isenabled() is on


def test_formats_and_precisions(model: Backbone, x: torch.Tensor) -> None:
    expected = model(x)
    size = expected.abs().max().item()
    last = copy.deepcopy(model).to(memory_format=torch.channels_last)
    assert torch.allclose(last(x.contiguous(memory_format=torch.channels_last)), expected, atol=1e-5 * size)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(model(x).float(), expected, atol=0.1 * size)
    assert copy.deepcopy(model).double()(x.double()).dtype == torch.float64


def test_exports_bit_for_bit(model: Backbone, x: torch.Tensor) -> None:
    program = torch.export.export(model, (x,))
    with layout.plain():  # a program holds layers as they are written
        assert torch.equal(program.module()(x), model(x))
