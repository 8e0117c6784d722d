"""What every network of the Swin family must do."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mixspec.compiler.cost import count
from mixspec.compiler.errors import SpecError
from mixspec.compiler.lower import lower
from mixspec.compiler.ops import aggregate  # noqa: F401  so that torch's counter knows its work
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve
from mixspec.zoo.ports import timm_swin


def network(**keys: object) -> Network:
    given = {"name": "x", "family": "swin", **keys}
    return resolve(parse("\n".join(f"{key}: {value}" for key, value in given.items())))


def small(mixer: str = "window Ch=8", **keys: object) -> Network:
    given = {"depths": [2, 1], "dims": [16, 32], "mixers": mixer, "classes": 5, "image": 64, **keys}
    return network(**given)


def randomise(model: nn.Module) -> nn.Module:
    """Every parameter drawn anew: zero tables and unit scales hide mistakes."""
    torch.manual_seed(1)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.05 if parameter.ndim > 1 else 0.5)
    return model.eval()


def assert_near(actual: Tensor, expected: Tensor) -> None:
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() < 1e-4 * expected.abs().max()


def test_decays_what_timm_s_decays() -> None:
    theirs = timm.create_model("swin_tiny_patch4_window7_224")
    exempt = theirs.no_weight_decay() & dict(theirs.named_parameters()).keys()
    mine = lower(network(size="t", mixers="window"), device="meta")
    assert mine.no_weight_decay() == {timm_swin.LAYOUT.name(key) for key in exempt}


VARIANTS = {
    "window": {"mixer": "window w=5 Ch=8"},
    "no table": {"mixer": "window w=5 Ch=8 table=false"},
    "static, shared": {"mixer": "staticwindow w=4 Ch=8 shared=true"},
    "depth-wise": {"mixer": "DW k=5 bias=true", "block": "conv"},
    "even kernel": {"mixer": "DW k=6 bias=true", "block": "conv"},
    "shared kernels": {"mixer": "DW k=5 Ch=8 bias=true", "block": "conv"},
    "dynamic": {"mixer": "DDW k=5", "block": "conv"},
    "inhomogeneous": {"mixer": "IDynamic k=5 G=8", "block": "conv"},
    "CC-BN, SE": {"mixer": "window w=4 Ch=8", "norm": "CCBN", "se": 4},
    "extra, SE": {"mixer": "DW k=5 bias=true", "block": "conv", "extra": "DW k=3 bias=true", "se": 4},
}
variants = pytest.mark.parametrize("keys", VARIANTS.values(), ids=VARIANTS.keys())


@variants
def test_counts_what_is_built(keys):
    made = small(**keys)
    cost = count(made)
    assert sum(p.numel() for p in lower(made, device="meta").parameters()) == cost.params
    model = lower(made).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, 64, 64))
    assert counter.get_total_flops() == 2 * cost.macs


@variants
def test_counts_what_backward_keeps(keys):
    made = small(**keys)
    model = lower(made)
    held = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}
    stored: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in held:
            stored[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    x = torch.randn(8, 3, 64, 64)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = model(x)
    assert y.requires_grad
    assert sum(stored.values()) / 8 == pytest.approx(count(made).activation_bytes, rel=0.05)


@variants
@torch.no_grad()
def test_runs_at_any_size(keys):
    model = randomise(lower(small(**keys)))
    for height, width in ((64, 64), (52, 73), (17, 96)):
        x = torch.randn(2, 3, height, width)
        y = model(x)
        assert y.shape == (2, 5) and y.isfinite().all()
        assert_near(torch.cat([model(x[:1]), model(x[1:])]), y)


@pytest.mark.parametrize("keys", [VARIANTS["window"], VARIANTS["inhomogeneous"], VARIANTS["extra, SE"]])
@torch.no_grad()
def test_exports(keys):
    model = randomise(lower(small(**keys)))
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), model(x))


def test_every_second_block_is_shifted_unless_one_window_covers_the_map():
    made = network(size="t", mixers="window")
    for stage, at in zip(made.family.stages(), made.family.mixer_grids(made.at), strict=True):
        mixers = [dict(dict(block.branches)["spatial"].layers)["mixer"] for block in stage.blocks.layers]
        assert [mixer.tiling(at).shifted for mixer in mixers] == [bool(i % 2) and at.h > 7 for i in range(len(mixers))]
        assert {mixer.shift for mixer in mixers} == {0, 3}


def test_starts_linear_maps_and_convolutions_as_the_released_code_does():
    torch.manual_seed(0)
    model = lower(network(depths=[1], dims=[128], mixers="DW bias=true", block="conv", image=32))
    block = model.stages[0].blocks[0]
    assert block.channel.mlp.fc1.weight.std().item() == pytest.approx(0.02, rel=0.03)
    assert not block.channel.mlp.fc1.bias.any()
    bound = 128**-0.5
    assert 0.95 * bound < block.spatial.pre.weight.abs().max().item() <= bound
    assert block.spatial.mixer.conv.bias.any()


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"mixer": "window", "se": 24}, r"MX203 stage 1: se=24 does not divide 16 channels"),
        ({"mixer": "window Ch=8", "extra": "DW Ch=12"}, r":\d+:\d+: MX203 stage 1: Ch=12 does not divide 16"),
        ({"mixer": "window Ch=12"}, r"MX203 stage 1: Ch=12 does not divide 16 channels"),
        ({"mixer": "window", "depths": [1]}, "MX204 1 depths and 2 dims"),
        ({"mixer": "window", "dims": []}, "MX103 depths and dims are missing"),
    ],
)
def test_says_what_does_not_fit(keys, words):
    with pytest.raises(SpecError, match=words):
        small(**keys)


@torch.no_grad()
def test_compiles_in_one_graph():
    model = randomise(lower(small("window w=5 Ch=8", se=4)))
    x = torch.randn(2, 3, 64, 64)
    assert_near(torch.compile(model, fullgraph=True, backend="aot_eager")(x), model(x))
