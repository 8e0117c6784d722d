"""ConvNeXt: what may stand in its blocks, and what it cannot do without."""

from __future__ import annotations

import pytest
import torch

from mixspec.compiler.errors import SpecError
from mixspec.compiler.lower import lower
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve


def tiny(*lines: str) -> Network:
    text = "name: x\nfamily: convnext\nimage: 40\nclasses: 5\ndepths: [1, 2, 1, 1]\ndims: [8, 16, 24, 32]"
    return resolve(parse("\n".join([text, *lines, ""])))


def test_any_mixer_stands_in_the_frame() -> None:
    torch.manual_seed(0)
    model = lower(tiny("mixers: DW k=3 in stages 1-2, attention Ch=8 in stages 3-4", "layer_scale: null"))
    model(torch.randn(2, 3, 40, 40)).square().sum().backward()
    assert not any("scale" in name for name, _ in model.named_parameters())
    assert all(weight.grad is not None and weight.grad.any() for weight in model.parameters())


def test_complains_without_a_size() -> None:
    with pytest.raises(SpecError, match="depths and dims are missing"):
        resolve(parse("name: x\nfamily: convnext\n"))
