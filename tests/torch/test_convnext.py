"""ConvNeXt: counts of the published sizes, and timm's network of the same weights."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import timm
import torch
from timm.models.convnext import ConvNeXt
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

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
KEYS = [  # timm's names as ours
    (r"^stem\.0", "stem.conv"),
    (r"^stem\.1", "stem.norm"),
    (r"downsample\.0", "downsample.norm"),
    (r"downsample\.1", "downsample.conv"),
    (r"conv_dw", "mixer.conv"),
    (r"gamma$", "scale"),
]


def network(name: str) -> Network:
    return resolve(read(SPECS / f"{name}.yaml"))


def tiny(*lines: str, image: int = 40) -> Network:
    text = f"name: x\nfamily: convnext\nimage: {image}\nclasses: 5\ndepths: [1, 2, 1, 1]\ndims: [8, 16, 24, 32]"
    return resolve(parse("\n".join([text, *lines, ""])))


def assert_same(net: Network, model: nn.Module, tolerance: float = 1e-5) -> None:
    """As many parameters, and the same logits from the same random weights."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    ours = lower(net, dtype=next(model.parameters()).dtype)
    assert sum(w.numel() for w in ours.parameters()) == sum(w.numel() for w in model.parameters())
    state = {}
    for key, value in model.state_dict().items():
        for pattern, name in KEYS:
            key = re.sub(pattern, name, key)
        state[key] = value
    ours.load_state_dict(state)
    x = torch.randn(2, 3, net.at.h, net.at.w, dtype=next(model.parameters()).dtype)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(x), model.eval()(x), rtol=tolerance, atol=tolerance)


def test_every_spec_is_pinned() -> None:
    assert {path.stem for path in SPECS.glob("*.yaml")} == set(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name: str) -> None:
    net = network(name)
    model = lower(net, device="meta").eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, 224, 224, device="meta"))
    found = count(net)
    assert (found.params, found.macs) == COUNTS[name]
    assert (sum(w.numel() for w in model.parameters()), counter.get_total_flops()) == (found.params, 2 * found.macs)


@pytest.mark.parametrize("image", [40, 70])  # 70: odd maps lose their last row
def test_logits_are_those_of_timm(image: int) -> None:
    model = ConvNeXt(depths=(1, 2, 1, 1), dims=(8, 16, 24, 32), num_classes=5)
    assert_same(tiny(image=image), model.double())


@pytest.mark.slow
def test_logits_of_convnext_t_are_those_of_timm() -> None:
    assert_same(network("convnext_t"), timm.create_model("convnext_tiny"), tolerance=1e-4)


def test_any_mixer_stands_in_the_frame() -> None:
    torch.manual_seed(0)
    model = lower(tiny("mixers: DW k=3 in stages 1-2, attention Ch=8 in stages 3-4", "layer_scale: null"))
    model(torch.randn(2, 3, 40, 40)).square().sum().backward()
    assert not any("scale" in name for name, _ in model.named_parameters())
    assert all(weight.grad is not None and weight.grad.any() for weight in model.parameters())


def test_complains_without_a_size() -> None:
    with pytest.raises(SpecError, match="depths and dims are missing"):
        resolve(parse("name: x\nfamily: convnext\n"))
