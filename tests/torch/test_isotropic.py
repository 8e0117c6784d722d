"""ViT, MLP-Mixer, ResMLP and gMLP: counts of the published sizes, and timm's networks of the same weights."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import timm
import torch
from timm.models.mlp_mixer import Affine, MlpMixer, ResBlock, SpatialGatingBlock
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

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
TIMM = {
    "deit_s": "deit_small_patch16_224",
    "mixer_b16": "mixer_b16_224",
    "resmlp_12": "resmlp_12_224",
    "gmlp_s16": "gmlp_s16_224",
}
KEYS = [  # timm's names as ours
    (r"^(stem|patch_embed)\.proj", "stem.conv"),
    (r"^head\.", "head.fc."),
    (r"^norm\.", "head.norm."),
    (r"^blocks", "stages.0.blocks"),
    (r"\.(attn|mlp_tokens)\.", ".mixer."),
    (r"\.linear_tokens\.", ".mixer.fc."),
    (r"\.mlp_channels\.gate\.norm", ".mixer.norm"),
    (r"\.mlp_channels\.gate\.proj", ".mixer.gate"),
    (r"(blocks\.\d+)\.norm\.", r"\1.norm1."),
    (r"\.mlp_channels\.", ".mlp."),
    (r"\.alpha$", ".scale"),
    (r"\.beta$", ".shift"),
    (r"\.ls(\d)$", r".scale\1"),
]


def network(name: str) -> Network:
    return resolve(read(SPECS / f"{name}.yaml"))


def renamed(theirs: dict[str, Tensor], ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """timm's weights under our names: gMLP's MLP is our mixer, the class token has a position of its own."""
    gated = any(".gate." in key for key in theirs)
    found = {}
    for key, value in theirs.items():
        if key == "cls_token":
            found["stages.0.token"] = value.flatten()
        elif key == "pos_embed":
            *token, patches = value[0].split([1, value.shape[1] - 1] if "cls_token" in theirs else [value.shape[1]])
            found["stem.position"] = patches.T.reshape(ours["stem.position"].shape)
            found |= {"stages.0.token_position": token[0][0]} if token else {}
        else:
            for pattern, name in KEYS:
                key = re.sub(pattern, name, key)
            key = key.replace(".mlp.", ".mixer.") if gated else key
            found[key] = value.flatten() if key.endswith(("scale", "shift")) else value
    return found


def assert_same(net: Network, model: nn.Module, tolerance: float = 1e-5) -> None:
    """As many parameters, and the same logits from the same random weights."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    ours = lower(net, dtype=next(model.parameters()).dtype)
    assert sum(w.numel() for w in ours.parameters()) == sum(w.numel() for w in model.parameters())
    ours.load_state_dict(renamed(model.state_dict(), ours.state_dict()))
    x = torch.randn(2, 3, net.at.h, net.at.w, dtype=next(model.parameters()).dtype)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(x), model.eval()(x), rtol=tolerance, atol=tolerance)


TINY = {
    "vit": ("width: 32\nmixers: attention Ch=16 bias=true", lambda: VisionTransformer(num_heads=2, **SIZE)),
    "vit, mean": (
        "width: 32\nmixers: attention Ch=16 bias=true\nclass_token: false",
        lambda: VisionTransformer(num_heads=2, class_token=False, global_pool="avg", fc_norm=False, **SIZE),
    ),
    "mixer": ("width: 32\nmixers: TokenMLP\nposition: false\nclass_token: false", lambda: mlp()),
    "resmlp": (
        "width: 32\nmixers: TokenLinear\nnorm: Affine\nlayer_scale: 1e-4\nposition: false\nclass_token: false",
        lambda: mlp(block_layer=ResBlock, norm_layer=Affine, mlp_ratio=4),
    ),
    "gmlp": (
        "width: 32\nmixers: SpatialGating\nmlp: null\nposition: false\nclass_token: false",
        lambda: mlp(block_layer=SpatialGatingBlock, mlp_layer=timm.layers.GatedMlp, mlp_ratio=6),
    ),
}
SIZE = dict(img_size=(24, 32), patch_size=8, embed_dim=32, depth=2, num_classes=5)


def mlp(**fields: object) -> nn.Module:
    return MlpMixer(img_size=(24, 32), patch_size=8, embed_dim=32, num_blocks=2, num_classes=5, **fields)


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


@pytest.mark.parametrize("name", TIMM)
def test_torch_executes_what_is_counted(name: str) -> None:
    net = network(name)
    model = lower(net, device="meta").eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, 224, 224, device="meta"))
    assert (sum(w.numel() for w in model.parameters()), counter.get_total_flops()) == (
        count(net).params,
        2 * count(net).macs,
    )


@pytest.mark.parametrize("name", TINY)
def test_logits_are_those_of_timm(name: str) -> None:
    lines, build = TINY[name]
    assert_same(tiny(lines), build().double())


@pytest.mark.slow
@pytest.mark.parametrize("name", TIMM)
def test_logits_of_published_sizes_are_those_of_timm(name: str) -> None:
    assert_same(network(name), timm.create_model(TIMM[name]), tolerance=1e-4)


@pytest.mark.parametrize("name", TINY)
def test_every_weight_learns(name: str) -> None:
    torch.manual_seed(0)
    model = lower(tiny(TINY[name][0]))
    model(torch.randn(2, 3, 24, 32)).square().sum().backward()
    silent = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not silent


def test_mixers_change_on_the_way() -> None:
    """Two stages of one width; the class token joins in the second."""
    net = tiny("depths: [1, 2]\nwidth: 32\nmixers: DW k=3 in stage 1, attention Ch=8 in stage 2")
    model = lower(net).eval()
    x = torch.randn(1, 3, 24, 32)
    assert [tuple(m.shape) for m in model.forward_intermediates(x, intermediates_only=True)] == [(1, 32, 3, 4)] * 2
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
