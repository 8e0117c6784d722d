"""Foreign layouts: there and back leaves every bit, and nothing is left over on either side."""

from __future__ import annotations

import re

import pytest
import recordings
import torch
import twins
from torch import Tensor

from mixspec.compiler.lower import lower, lower_layer
from mixspec.zoo.ports import cvt, hyenapixel, localvit, timm_convnext
from mixspec.zoo.ports._layout import Layout, PortError

State = dict[str, Tensor]


def drawn(shapes: dict[str, tuple[int, ...]]) -> State:
    return {key: torch.randn(shape) for key, shape in shapes.items()}


def assert_bit_exact(layout: Layout, theirs: State, like: State) -> None:
    ours = layout.ours(theirs, like)
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in like.items()}
    empty = {key: torch.zeros_like(value) for key, value in theirs.items()}
    derived = {key: value for key, value in theirs.items() if re.search(layout.derived, key)}
    back = layout.theirs(ours, {**empty, **derived})
    assert list(back) == list(theirs)
    assert all(torch.equal(back[key], value) and back[key].dtype == value.dtype for key, value in theirs.items())


QUICK = [*twins.TINY, "convformer_s18", "caformer_s18", "swin_tiny_patch4_window7_224", "resnet50", "resnet50d"]


@pytest.mark.parametrize("name", QUICK)
def test_networks_come_back(name: str) -> None:
    twin = twins.TWINS[name]
    theirs = twins.randomised(twin.build()).state_dict()
    assert_bit_exact(twin.layout, theirs, lower(twins.network(twin.text), device="meta").state_dict())


@pytest.mark.parametrize("name", recordings.OPERATORS)
def test_operators_come_back(name: str) -> None:
    layer, at, layout = recordings.OPERATORS[name]
    module = lower_layer(layer, at)
    if name == "mlp_head":
        module.norm = torch.nn.Identity()
    _, data = recordings.recorded(recordings.FIXTURES / f"{name}.pert.safetensors")
    assert_bit_exact(layout, recordings.under("sd/", data), module.state_dict())


def test_cvt_comes_back() -> None:
    _, data = recordings.recorded(recordings.FIXTURES / "cvt.pert.safetensors")
    like = lower(twins.network(recordings.CVT), device="meta").state_dict()
    assert_bit_exact(cvt.LAYOUT, recordings.under("sd/", data), like)


def hyenapixel_state(mixers: list[dict[str, tuple[int, ...]]], c: int = 8) -> State:
    """A network of the released layout with one block in each stage, all of ``c`` channels and five classes."""
    shapes: dict[str, tuple[int, ...]] = {"downsample_layers.0.post_norm.weight": (c,)}
    for stage, mixer in enumerate(mixers):
        down, block = f"downsample_layers.{stage}", f"stages.{stage}.0"
        side = 3 if stage else 7
        shapes |= {f"{down}.conv.weight": (c, c if stage else 3, side, side), f"{down}.conv.bias": (c,)}
        shapes |= {f"{down}.pre_norm.weight": (c,)} if stage else {}
        shapes |= {f"{block}.norm1.weight": (c,), f"{block}.norm2.weight": (c,)}
        shapes |= {f"{block}.mlp.fc1.weight": (4 * c, c), f"{block}.mlp.fc2.weight": (c, 4 * c)}
        shapes |= {f"{block}.mlp.act.scale": (1,), f"{block}.mlp.act.bias": (1,)}
        shapes |= {f"{block}.res_scale{i}.scale": (c,) for i in (1, 2)} if stage > 1 else {}
        shapes |= {f"{block}.token_mixer.{key}": shape for key, shape in mixer.items()}
    shapes |= {"norm.weight": (c,), "norm.bias": (c,), "head.fc1.weight": (4 * c, c), "head.fc1.bias": (4 * c,)}
    shapes |= {"head.norm.weight": (4 * c,), "head.norm.bias": (4 * c,)}
    return drawn({**shapes, "head.fc2.weight": (5, 4 * c), "head.fc2.bias": (5,)})


def hpx(side: int) -> dict[str, tuple[int, ...]]:
    """The released variant, with two LayerNorms and a linear output projection."""
    return {
        "pointwise_conv.weight": (24, 8, 1, 1),
        "pointwise_conv.bias": (24,),
        "depthwise_conv.weight": (24, 1, 5, 5),
        "depthwise_conv.bias": (24,),
        "long_conv.z": (1, 4, side, side),
        "long_conv.distance_map": (1, 1, side, side),
        **{f"long_conv.{name}": (1, 8, 1, 1) for name in ("deltas", "shift", "bias")},
        "long_conv.implicit_filter.0.weight": (6, 4, 1, 1),
        "long_conv.implicit_filter.0.bias": (6,),
        "long_conv.implicit_filter.2.weight": (6, 6, 1, 1),
        "long_conv.implicit_filter.2.bias": (6,),
        **{f"long_conv.implicit_filter.{i}.freq": (1, 6, 1, 1) for i in (1, 3)},
        "long_conv.implicit_filter.4.weight": (8, 6, 1, 1),
        "qk_norm.weight": (8,),
        "out_norm.weight": (8,),
        "out_proj.weight": (8, 8),
        "out_proj.bias": (8,),
    }


def hb(length: int) -> dict[str, tuple[int, ...]]:
    times, filter_fn = 2 * length - 1, "filter_fn.implicit_filter"
    return {
        "in_proj.weight": (24, 8),
        "in_proj.bias": (24,),
        "short_filter.weight": (24, 1, 3),
        "short_filter.bias": (24,),
        "filter_fn.bias": (8,),
        "filter_fn.modulation.deltas": (1, 1, 8),
        "filter_fn.pos_emb.z": (1, times, 5),
        "filter_fn.pos_emb.t": (1, times, 1),
        f"{filter_fn}.0.weight": (6, 5),
        f"{filter_fn}.0.bias": (6,),
        **{f"{filter_fn}.{i}.weight": (6, 6) for i in (2, 4)},
        **{f"{filter_fn}.{i}.bias": (6,) for i in (2, 4)},
        **{f"{filter_fn}.{i}.freq": (1, 6) for i in (1, 3, 5)},
        f"{filter_fn}.6.weight": (8, 6),
        "qk_norm.0.weight": (8,),
        "out_norm.weight": (8,),
        "out_proj.weight": (8, 8),
        "out_proj.bias": (8,),
    }


SEPCONV = {
    "pwconv1.weight": (16, 8),
    "act1.scale": (1,),
    "act1.bias": (1,),
    "dwconv.weight": (16, 1, 7, 7),
    "pwconv2.weight": (8, 16),
}
ATTENTION: dict[str, tuple[int, ...]] = {"qkv.weight": (24, 8), "proj.weight": (8, 8)}
RELEASED = {
    "Hpx E=4 F=6 ln=true": [hpx(side) for side in (15, 7, 3, 1)],
    "Hb E=4 F=6 ln=true": [hb(length) for length in (64, 16, 4, 1)],
    "SepConv in stages 1-2, attention Ch=8 in stages 3-4": [SEPCONV, SEPCONV, ATTENTION, ATTENTION],
}


@pytest.mark.parametrize("mixers", RELEASED)
def test_hyenapixel_s_networks_come_back(mixers: str) -> None:
    text = f"family: metaformer\ndepths: [1, 1, 1, 1]\ndims: [8, 8, 8, 8]\nimage: 32\nclasses: 5\nmixers: {mixers}\n"
    like = lower(twins.network(text), device="meta").state_dict()
    assert_bit_exact(hyenapixel.MODEL, hyenapixel_state(RELEASED[mixers]), like)


NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
SPATIAL: dict[str, tuple[Layout, dict[str, tuple[int, ...]]]] = {
    "DW bias=true": (localvit.DW, {"conv.weight": (32, 1, 7, 7), "conv.bias": (32,)}),
    "DDW": (
        localvit.DDW,
        {
            "conv.conv1.weight": (8, 32, 1, 1),
            "conv.bias": (32,),
            "conv.conv2.weight": (1568, 8, 1, 1),
            "conv.conv2.bias": (1568,),
            **{f"conv.bn.{name}": () if name == NORM[-1] else (8,) for name in NORM},
        },
    ),
    "IDynamic G=4": (
        localvit.IDYNAMIC,
        {
            "conv.conv1.0.weight": (8, 32, 1, 1),
            "conv.conv1.0.bias": (8,),
            "conv.conv2.0.weight": (196, 8, 1, 1),
            "conv.conv2.0.bias": (196,),
            **{f"conv.conv1.1.{name}": () if name == NORM[-1] else (8,) for name in NORM},
        },
    ),
}


@pytest.mark.parametrize("mixer", SPATIAL)
def test_localvit_s_networks_come_back(mixer: str) -> None:
    layout, spatial = SPATIAL[mixer]
    text = f"family: swin\ndepths: [1]\ndims: [32]\nmixers: {mixer}\nblock: conv\nimage: 64\nclasses: 5\n"
    block = {f"layers.0.blocks.0.attn2conv.{key}": shape for key, shape in spatial.items()}
    for norm in ("attn2conv.bn0", "attn2conv.bn", "attn2conv.bn2", "bn"):
        block |= {f"layers.0.blocks.0.{norm}.{name}": () if name == NORM[-1] else (32,) for name in NORM}
    block |= {f"layers.0.blocks.0.attn2conv.{name}.weight": (32, 32, 1, 1) for name in ("conv0", "conv2")}
    block |= {"layers.0.blocks.0.mlp.fc1.weight": (128, 32), "layers.0.blocks.0.mlp.fc1.bias": (128,)}
    block |= {"layers.0.blocks.0.mlp.fc2.weight": (32, 128), "layers.0.blocks.0.mlp.fc2.bias": (32,)}
    block |= {"patch_embed.proj.weight": (32, 3, 4, 4), "patch_embed.proj.bias": (32,), "head.weight": (5, 32)}
    block |= {"patch_embed.norm.weight": (32,), "patch_embed.norm.bias": (32,), "head.bias": (5,)}
    block |= {"norm.weight": (32,), "norm.bias": (32,)}
    assert_bit_exact(layout, drawn(block), lower(twins.network(text), device="meta").state_dict())


def convnext() -> tuple[State, State]:
    twin = twins.TINY["convnext, 40 pixels"]
    return twin.build().state_dict(), lower(twins.network(twin.text), device="meta").state_dict()


def test_tells_of_both_sides() -> None:
    theirs, like = convnext()
    changed = {key: value for key, value in theirs.items() if key != "stem.0.bias"}
    changed |= {"stem.2.bias": torch.zeros(8), "head.fc.weight": torch.zeros(7, 32)}
    with pytest.raises(PortError) as caught:
        timm_convnext.LAYOUT.ours(changed, like)
    message = str(caught.value)
    assert "MX807" in message and "1 missing, 1 unexpected, 1 misshapen" in message
    assert all(word in message for word in ("stem.conv.bias", "stem.2.bias", "head.fc.weight foreign (7, 32)"))
    ours = {key.replace("stem.conv.bias", "x"): value for key, value in like.items()}
    with pytest.raises(PortError, match="1 missing, 1 unexpected"):
        timm_convnext.LAYOUT.theirs(ours, theirs)


def test_two_keys_that_become_one_are_refused() -> None:
    theirs, like = convnext()
    with pytest.raises(PortError, match=r"stem\.0\.bias and stem\.conv\.bias are both stem\.conv\.bias"):
        timm_convnext.LAYOUT.ours({**theirs, "stem.conv.bias": torch.zeros(8)}, like)


def test_what_follows_from_the_architecture_may_come_along() -> None:
    """Older checkpoints of Swin hold tables of positions and masks."""
    twin = twins.TWINS["swin_tiny_patch4_window7_224"]
    with torch.device("meta"):
        theirs = twin.build().state_dict()
    block = "layers.0.blocks.1."
    more = {f"{block}attn.relative_position_index": torch.zeros(49, 49), f"{block}attn_mask": torch.zeros(64, 49, 49)}
    like = lower(twins.network(twin.text), device="meta").state_dict()
    assert set(twin.layout.ours({**theirs, **more}, like)) == set(like)
    with pytest.raises(PortError, match=r"mixer\.surprise"):
        twin.layout.ours({**theirs, f"{block}attn.surprise": torch.zeros(1)}, like)
