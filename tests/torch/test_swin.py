"""The Swin family against timm's Swin, and what every network of the family must do."""

from __future__ import annotations

import re

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.swin_transformer import SwinTransformer

from mixspec.compiler.cost import count
from mixspec.compiler.errors import SpecError
from mixspec.compiler.lower import lower
from mixspec.compiler.ops import aggregate  # noqa: F401  so that torch's counter knows its work
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve

RENAMED = [
    (r"^patch_embed\.proj", "stem.conv"),
    (r"^patch_embed", "stem"),
    (r"^layers", "stages"),
    (r"\.norm1", ".spatial.norm"),
    (r"\.attn\.relative_position_bias_table", ".spatial.mixer.table"),
    (r"\.attn", ".spatial.mixer"),
    (r"\.norm2", ".channel.norm"),
    (r"\.mlp", ".channel.mlp"),
    (r"^norm", "head.norm"),
]


def ours(key: str, renamed: list[tuple[str, str]] = RENAMED) -> str:
    """A key of another layout in ours."""
    for pattern, name in renamed:
        key = re.sub(pattern, name, key)
    return key


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


@pytest.fixture(scope="module")
def pair() -> tuple[nn.Module, nn.Module]:
    theirs = randomise(timm.create_model("swin_tiny_patch4_window7_224"))
    mine = lower(network(size="t", mixers="window"))
    mine.load_state_dict({ours(key): value for key, value in theirs.state_dict().items()})
    return theirs, mine.eval()


def assert_near(actual: Tensor, expected: Tensor) -> None:
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() < 1e-4 * expected.abs().max()


@torch.no_grad()
def test_equals_timm(pair):
    theirs, mine = pair
    x = torch.randn(1, 3, 224, 224)
    assert_near(mine(x), theirs(x))
    maps = theirs.forward_intermediates(x, intermediates_only=True)
    for actual, expected in zip(mine.forward_intermediates(x, intermediates_only=True), maps, strict=True):
        assert_near(actual, expected)


def test_holds_as_many_parameters_as_timm(pair):
    theirs, mine = pair
    assert sum(p.numel() for p in mine.parameters()) == sum(p.numel() for p in theirs.parameters()) == 28_288_354
    assert mine.no_weight_decay() == {
        ours(key) for key in theirs.no_weight_decay() & dict(theirs.named_parameters()).keys()
    }


TORCHVISION = [
    (r"^features\.0\.0", "stem.conv"),
    (r"^features\.0\.2", "stem.norm"),
    (r"^features\.2", "stages.1.downsample"),
    (r"^features\.1", "stages.0.blocks"),
    (r"^features\.3", "stages.1.blocks"),
    (r"\.norm1", ".spatial.norm"),
    (r"\.attn\.relative_position_bias_table", ".spatial.mixer.table"),
    (r"\.attn", ".spatial.mixer"),
    (r"\.norm2", ".channel.norm"),
    (r"\.mlp\.0", ".channel.mlp.fc1"),
    (r"\.mlp\.3", ".channel.mlp.fc2"),
    (r"^norm", "head.norm"),
    (r"^head\.(weight|bias)", r"head.fc.\1"),
]


@torch.no_grad()
def test_pads_and_shifts_as_torchvision_where_windows_do_not_fit():
    """timm rolls before it pads; the released code and torchvision pad first."""
    theirs = randomise(SwinTransformer([4, 4], 32, [2, 2], [2, 4], [7, 7], num_classes=9))
    mine = lower(network(depths=[2, 2], dims=[32, 64], mixers="window Ch=16", classes=9, image=152))
    state = {ours(key, TORCHVISION): value for key, value in theirs.state_dict().items() if "index" not in key}
    mine.load_state_dict(state)
    x = torch.randn(2, 3, 152, 184)
    assert_near(mine.eval()(x), theirs(x))


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
