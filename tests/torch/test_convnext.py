"""ConvNeXt: counts of the published sizes, and what may stand in its blocks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from counting import executed

from mixspec.compiler.cost import count
from mixspec.compiler.errors import SpecError
from mixspec.compiler.lower import lower
from mixspec.compiler.parse import parse, read
from mixspec.compiler.resolve import Network, resolve

SPECS = Path(__file__).parents[2] / "specs" / "convnext"
COUNTS = {  # parameters and multiply-adds at 224x224
    "convnext_t": (28_589_128, 4_455_531_264),
    "convnext_s": (50_223_688, 8_683_712_256),
    "convnext_b": (88_591_464, 15_354_729_472),
}


def network(name: str) -> Network:
    return resolve(read(SPECS / f"{name}.yaml"))


def tiny(*lines: str) -> Network:
    text = "name: x\nfamily: convnext\nimage: 40\nclasses: 5\ndepths: [1, 2, 1, 1]\ndims: [8, 16, 24, 32]"
    return resolve(parse("\n".join([text, *lines, ""])))


def test_every_spec_is_pinned() -> None:
    assert {path.stem for path in SPECS.glob("*.yaml")} == set(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name: str) -> None:
    net = network(name)
    found = count(net)
    assert (found.params, found.macs) == COUNTS[name] == executed(net)


def test_any_mixer_stands_in_the_frame() -> None:
    torch.manual_seed(0)
    model = lower(tiny("mixers: DW k=3 in stages 1-2, attention Ch=8 in stages 3-4", "layer_scale: null"))
    model(torch.randn(2, 3, 40, 40)).square().sum().backward()
    assert not any("scale" in name for name, _ in model.named_parameters())
    assert all(weight.grad is not None and weight.grad.any() for weight in model.parameters())


def test_complains_without_a_size() -> None:
    with pytest.raises(SpecError, match="depths and dims are missing"):
        resolve(parse("name: x\nfamily: convnext\n"))
