"""Pruned networks compute what masked ones do, and hold less."""

from pathlib import Path

import pytest
import torch
from torch import nn

from mixspec.compiler.backbone import Backbone
from mixspec.compiler.cost import count
from mixspec.compiler.errors import SpecError
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve
from mixspec.zoo.classifier import Classifier
from mixspec.zoo.load import fresh
from mixspec.zoo.tools.banks import banks
from mixspec.zoo.tools.prune import Masks, masked, norms, prune, shrunk, surviving, twin
from mixspec.zoo.tools.threshold import bisect
from mixspec.zoo.training.data import Data, Inputs
from mixspec.zoo.training.loop import Trained
from mixspec.zoo.weights import header, load, save

FRAME = """\
name: x
image: 16
in_chans: 1
classes: 10
depths: [2, 1]
mixers: {mixers}
"""
FAMILIES = {
    "metaformer": "family: metaformer\nstem: small\ndims: [8, 16]\nhead: linear\n",
    "resnet": "family: resnet\nstem: small\nvariant: d\nwidth: 8\nexpansion: 2\n",
    "swin": "family: swin\ndims: [8, 16]\nblock: conv\n",
    "convnext": "family: convnext\ndims: [8, 16]\n",
}
MIXERS = [f"{name} b=5 agg=3 Ch=4 net={net}" for name in ("CADA", "CADAsp") for net in "AB"] + [
    f"{name} b=5 agg=3 Ch=4 net={net}" for name in ("DA", "DAsp") for net in "DEF"
]


def network(family: str, mixers: str) -> Network:
    return resolve(parse(FAMILIES[family] + FRAME.format(mixers=mixers)))


def shaken(net: Network) -> Backbone:
    """Fresh weights, with statistics and biases that are not all alike."""
    model = fresh(net, 1).eval()
    torch.manual_seed(2)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.running_var, module.weight.data, module.bias.data):
                assert tensor is not None
                tensor.copy_(torch.rand(tensor.shape) + 0.5)
    for bank in banks(model):
        bank.module.bank.bias.data.normal_(0, 0.1)
    for name, parameter in model.named_parameters():
        if ".scale" in name:  # ConvNeXt's start at a millionth
            parameter.data.fill_(1.0)
    return model


def drawn(model: Backbone) -> Masks:
    """Random masks, the last kernel of every head gone, and the first of the first mixer."""
    torch.manual_seed(3)
    masks = {bank.path: torch.rand(norms(bank).shape) < 0.5 for bank in banks(model)}
    first = next(iter(masks.values()))
    first[:, 0] = False
    for mask in masks.values():
        mask[:, -1] = False
    return masks


def check(family: str, mixers: str) -> tuple[Network, Network, Backbone]:
    net = network(family, mixers)
    model = shaken(net)
    trial, masks = twin(net, model), drawn(model)
    masked(trial, model, masks)
    smaller, pruned = shrunk(net, trial, masks)
    x = torch.randn(2, 1, 16, 16)
    with torch.no_grad():
        assert not torch.allclose(model(x), trial(x), atol=1e-4)
        torch.testing.assert_close(pruned(x), trial(x), atol=1e-5, rtol=1e-5)
    assert count(smaller).params == sum(p.numel() for p in pruned.parameters()) < count(net).params
    assert count(smaller).macs < count(net).macs
    return net, smaller, pruned


@pytest.mark.parametrize("mixers", MIXERS)
def test_pruned_logits_are_the_masked_ones(mixers: str) -> None:
    check("metaformer", mixers)


@pytest.mark.parametrize("family", FAMILIES)
def test_pruned_logits_are_the_masked_ones_in_every_frame(family: str) -> None:
    _, smaller, pruned = check(family, "CADAsp b=5 agg=3 Ch=4")
    assert resolve(parse(family_text(smaller))).digest == smaller.digest
    held = [bank.mixer.base_kernels for bank in banks(pruned)]
    assert held[0] < 5
    if family == "convnext":
        assert held[0] == held[1]  # no key for single blocks: the stage keeps what its neediest block needs


def family_text(net: Network) -> str:
    from mixspec.zoo.weights import canonical_text

    return canonical_text(net)


def test_pruning_again_a_pruned_network_starts_from_its_blocks() -> None:
    net = network("metaformer", "CADAsp b=6 agg=3 Ch=4")
    model = shaken(net)
    for size in (4, 3):
        trial = twin(net, model)
        masks = {bank.path: torch.ones_like(norms(bank)) > 0 for bank in banks(model)}
        masks["stages.0.blocks.1.mixer"][:, size:] = False
        masked(trial, model, masks)
        net, model = shrunk(net, trial, masks)
        assert [bank.mixer.base_kernels for bank in banks(model)] == [6, size, 6]
    assert dict(net.family.blocks)["stages.0.blocks.1"].base_kernels == 3  # type: ignore[attr-defined]


def test_mixer_that_loses_all_its_kernels_keeps_one_of_zeros() -> None:
    net = network("metaformer", "CADAsp b=5 agg=3 Ch=4")
    model = shaken(net)
    trial = twin(net, model)
    masks = {bank.path: norms(bank) < 0 for bank in banks(model)}
    masked(trial, model, masks)
    _, pruned = shrunk(net, trial, masks)
    x = torch.randn(2, 1, 16, 16)
    torch.testing.assert_close(pruned(x), trial(x), atol=1e-5, rtol=1e-5)
    assert [bank.mixer.base_kernels for bank in banks(pruned)] == [1, 1, 1]
    assert all(not bank.base.any() for bank in banks(pruned))


def test_score_is_the_l1_norm_and_the_threshold_is_global() -> None:
    model = shaken(network("metaformer", "CADAsp b=5 agg=3 Ch=4"))
    held = banks(model)
    bank = held[1]
    weight = bank.module.bank.weight  # (heads * taps, b, 1, 1)
    naive = sum(abs(float(weight[1 * 9 + tap, 3, 0, 0].detach())) for tap in range(9))
    assert float(norms(bank)[1, 3]) == pytest.approx(naive, rel=1e-5)
    masks = surviving(held, naive)
    assert not masks[bank.path][1, 3] and {mask.shape for mask in masks.values()} == {(2, 5), (4, 5)}
    assert sum(int(mask.sum()) for mask in masks.values()) == sum(int((norms(b) > naive).sum()) for b in held)


@pytest.mark.parametrize(("budget", "removed"), [(0.0, 3), (0.1, 4), (5.0, 8), (100.0, 10)])
def test_bisection_removes_all_that_the_budget_pays_for(budget: float, removed: int) -> None:
    scores = torch.arange(10).float() + 1
    lost = [0, 0, 0, 0, 0.1, 0.2, 1, 2, 5, 50, 90]  # points, by kernels removed

    def accuracy(threshold: float) -> float:
        return 95 - lost[int((scores <= threshold).sum())]

    found = bisect(scores, accuracy, budget)
    assert (found.removed, found.base_top1, found.top1) == (removed, 95, 95 - lost[removed])
    assert found.tried <= 6


def test_kernels_of_equal_norm_go_together() -> None:
    found = bisect(torch.tensor([1.0, 1.0, 1.0, 2.0]), lambda threshold: 90.0 - (threshold >= 2), 0.1)
    assert (found.removed, found.threshold) == (3, 1.0)


@pytest.fixture
def classifier(trained: Trained, data: Data) -> Classifier:
    return Classifier.open(trained.best, data)


@pytest.mark.parametrize("budget", [0.0, 5.0, 100.0])
def test_trained_network_stays_within_its_budget(
    classifier: Classifier, data: Data, budget: float, tmp_path: Path, trained: Trained
) -> None:
    split = data.splits["val"]
    before = {name: tensor.clone() for name, tensor in classifier.model.state_dict().items()}
    done = prune(classifier.model, split, classifier.inputs, classifier.classes, budget)
    assert done.found.top1 >= done.found.base_top1 - budget
    assert all(torch.equal(tensor, before[name]) for name, tensor in classifier.model.state_dict().items())
    save(done.model, tmp_path / "small.safetensors", data=data.facts())
    again = Classifier.open(tmp_path / "small.safetensors", data)
    assert again.evaluate(split).top1 == done.found.top1
    if budget == 100:
        assert done.found.removed == 4 and [layer.kept for layer in done.layers] == [0]
        assert (tmp_path / "small.safetensors").stat().st_size < trained.best.stat().st_size
        assert header(tmp_path / "small.safetensors").network.name == "tiny_pruned"
        assert load(tmp_path / "small.safetensors").layer.mixers[0].base_kernels == 1  # type: ignore[attr-defined]


def test_what_cannot_be_pruned_is_a_complaint(data: Data) -> None:
    split, facts = data.splits["val"], data.facts()
    cases = [
        ("attention Ch=4", 0.1, "MX821 x has no token mixer with base kernels"),
        ("CADAsp b=5 agg=3 Ch=4 net=C", 0.1, "MX823 stages.0.blocks.0.mixer: network C"),
        ("CADAsp b=5 agg=3 Ch=4", -0.1, "MX822 a budget of -0.1 points"),
        ("CADAsp b=5 agg=3 Ch=4", 101, "MX822"),
        ("CADAsp b=5 agg=3 Ch=4", float("nan"), "MX822"),
    ]
    for mixers, budget, words in cases:
        net = network("metaformer", mixers)
        with pytest.raises(SpecError, match=words):
            prune(fresh(net), split, Inputs.of(net, facts), data.classes, budget)
