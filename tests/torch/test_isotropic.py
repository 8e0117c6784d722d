"""ViT, MLP-Mixer, ResMLP and gMLP: counts of the published sizes, and what may stand in their blocks."""

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

SPECS = Path(__file__).parents[2] / "specs" / "isotropic"
COUNTS = {  # parameters and multiply-adds at the spec's own size
    "deit_ti": (5_717_416, 1_253_683_200),
    "deit_s": (22_050_664, 4_598_882_304),
    "deit_b": (86_567_656, 17_563_828_224),
    "deit_b_384": (86_859_496, 55_484_350_464),
    "vit_b16_384": (86_859_496, 55_484_350_464),
    "vit_l16_384": (304_715_752, 191_066_300_416),
    "mixer_s16": (18_528_264, 3_776_958_464),
    "mixer_b16": (59_880_472, 12_601_767_936),
    "mixer_l16": (208_196_168, 44_547_678_208),
    "resmlp_12": (15_350_872, 3_009_739_776),
    "resmlp_24": (30_020_680, 5_961_292_800),
    "resmlp_36": (44_690_488, 8_912_845_824),
    "gmlp_ti16": (5_867_328, 1_328_989_184),
    "gmlp_s16": (19_422_656, 4_392_060_928),
    "gmlp_b16": (73_075_392, 15_720_452_096),
}
PARTS = ("deit_s", "mixer_b16", "resmlp_12", "gmlp_s16")


def network(name: str) -> Network:
    return resolve(read(SPECS / f"{name}.yaml"))


TINY = {
    "vit": "width: 32\nmixers: attention Ch=16 bias=true",
    "vit, mean": "width: 32\nmixers: attention Ch=16 bias=true\nclass_token: false",
    "mixer": "width: 32\nmixers: TokenMLP\nposition: false\nclass_token: false",
    "resmlp": "width: 32\nmixers: TokenLinear\nnorm: Affine\nlayer_scale: 1e-4\nposition: false\nclass_token: false",
    "gmlp": "width: 32\nmixers: SpatialGating\nmlp: null\nposition: false\nclass_token: false",
}


def tiny(lines: str) -> Network:
    keys = {line.partition(":")[0] for line in lines.splitlines()}
    base = ["name: x", "family: isotropic", "image: [24, 32]", "classes: 5", "patch: 8", "depths: [2]"]
    return resolve(parse("\n".join([*(line for line in base if line.partition(":")[0] not in keys), lines, ""])))


def test_every_spec_is_pinned() -> None:
    assert {path.stem for path in SPECS.glob("*.yaml")} == set(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name: str) -> None:
    found = count(network(name))
    assert (found.params, found.macs) == COUNTS[name]


@pytest.mark.parametrize("name", PARTS)
def test_torch_executes_what_is_counted(name: str) -> None:
    assert executed(network(name)) == COUNTS[name]


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
