"""Slice-wise pruning of Gabor convolutions."""

import pytest
import torch
from torch.nn import functional as F

from mixspec.compiler.errors import SpecError
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve
from mixspec.zoo.load import fresh
from mixspec.zoo.tools.gabor_prune import convolutions, prune_gabor
from mixspec.zoo.training.data import Data, Inputs

SPEC = """\
name: x
family: vgg
image: 8
in_chans: 3
classes: 10
depths: [2]
dims: [6]
first: {}
"""


def network(first: str = "Gabor k=3") -> Network:
    return resolve(parse(SPEC.format(first)))


def test_slices_of_least_amplitude_go(data: Data) -> None:
    net = network()
    model = fresh(net, 1)
    before = next(iter(convolutions(model)))[1].amplitude.detach().clone()
    done = prune_gabor(model, data.splits["val"], Inputs.of(net, data.facts()), data.classes, budget=5)
    (layer,) = done.layers
    assert done.found.top1 >= done.found.base_top1 - 5
    assert layer.slices == 18 and layer.kept == 18 - done.found.removed
    after = next(iter(convolutions(done.model)))[1].amplitude.detach()
    assert torch.equal(after, before * (before.abs() > done.found.threshold))
    assert layer.macs == 64 * 9 * layer.kept
    assert torch.equal(next(iter(convolutions(model)))[1].amplitude, before)


def test_everything_goes_when_nothing_has_to_stay(data: Data) -> None:
    net = network()
    done = prune_gabor(fresh(net, 1), data.splits["val"], Inputs.of(net, data.facts()), data.classes, budget=100)
    assert done.layers[0].kept == 0 and done.facts()["slices"] == 18


def test_pruned_slice_contributes_nothing(data: Data) -> None:
    net = network()
    model = fresh(net, 1)
    _, module = next(iter(convolutions(model)))
    x = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        kernels = module.layer.kernels(module)
        kernels[2, 1] = 0
        module.amplitude[2, 1] = 0
        torch.testing.assert_close(module(x), F.conv2d(x, kernels, padding=1))


def test_what_cannot_be_pruned_is_a_complaint(data: Data) -> None:
    for first, budget, words in (("Conv", 0.1, "MX821 x has no Gabor convolution"), ("Gabor k=3", -1, "MX822")):
        net = network(first)
        with pytest.raises(SpecError, match=words):
            prune_gabor(fresh(net), data.splits["val"], Inputs.of(net, data.facts()), data.classes, budget)
