"""ViT, MLP-Mixer, ResMLP and gMLP: what may stand in their blocks."""

from __future__ import annotations

import pytest
import torch
from small import changed

from mixspec.compiler.errors import SpecError
from mixspec.compiler.lower import lower
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve

BASE = "name: x\nfamily: isotropic\nimage: [24, 32]\nclasses: 5\npatch: 8\ndepths: [2]\n"
TINY = {
    "vit": "width: 32\nmixers: attention Ch=16 bias=true",
    "vit, mean": "width: 32\nmixers: attention Ch=16 bias=true\nclass_token: false",
    "mixer": "width: 32\nmixers: TokenMLP\nposition: false\nclass_token: false",
    "resmlp": "width: 32\nmixers: TokenLinear\nnorm: Affine\nlayer_scale: 1e-4\nposition: false\nclass_token: false",
    "gmlp": "width: 32\nmixers: SpatialGating\nmlp: null\nposition: false\nclass_token: false",
}


def tiny(lines: str) -> Network:
    return resolve(parse(changed(BASE, *lines.splitlines())))


@pytest.mark.parametrize("name", TINY)
def test_every_weight_learns(name: str) -> None:
    torch.manual_seed(0)
    model = lower(tiny(TINY[name]))
    model(torch.randn(2, 3, 24, 32)).square().sum().backward()
    silent = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not silent


def test_mixers_change_on_the_way() -> None:
    """Two stages of one width; the class token joins in the second."""
    net = tiny("depths: [1, 2]\nwidth: 32\nmixers: DW k=3 in stage 1, attention Ch=8 in stage 2")
    model = lower(net).eval()
    x = torch.randn(1, 3, 24, 32)
    assert [tuple(m.shape) for m in model.forward_intermediates(x, intermediates_only=True)] == [(1, 32, 3, 4)] * 3
    assert model.forward_features(x).shape == (1, 32, 1, 13)


@pytest.mark.parametrize(
    "lines, complaint",
    [
        ("mixers: TokenMLP", "stage 1: TokenMLP cannot mix a class token with a map"),
        ("mlp: null", ":7:6: MX102 stage 1: no MLP cannot take a class token"),
        ("layer_scale: 0.1", "layer_scale goes with no class token"),
        ("patch: 7", "patch=7 does not divide an image of 24x32 pixels"),
        ("position_grid: [4, 4]", "an embedding of 4x4 positions, the map has 3x4"),
        ("class_token: false\nmixers: TokenLinear height=4", "weights for a height of 4 positions, the map has 3"),
    ],
)
def test_complaints(lines: str, complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        tiny(lines)
    assert complaint in str(caught.value)
