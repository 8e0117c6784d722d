"""Our networks beside those of timm and torchvision, with the same weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import timm
import torch
from deviation import Errors, backward, compared, gradients, relative, worst
from timm.models.convnext import ConvNeXt
from timm.models.mlp_mixer import Affine, MlpMixer, ResBlock, SpatialGatingBlock
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torchvision.models.swin_transformer import SwinTransformer

from mixspec.compiler.lower import lower
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve
from mixspec.zoo.ports import (
    timm_convnext,
    timm_metaformer,
    timm_mixer,
    timm_resnet,
    timm_swin,
    timm_vit,
    torchvision_swin,
)
from mixspec.zoo.ports._layout import Layout


def network(text: str) -> Network:
    return resolve(parse(f"name: x\n{text}"))


@dataclass(frozen=True)
class Twin:
    """A foreign network and the spec of the same; ``tiny`` ones are compared in double precision."""

    build: Callable[[], nn.Module]
    text: str
    layout: Layout
    size: tuple[int, int] = (224, 224)
    tiny: bool = False


def unset(name: str) -> nn.Module:
    """A timm model without its own start, which takes seconds."""
    with torch.device("meta"):
        model = timm.create_model(name)
    return model.to_empty(device="cpu")


@torch.no_grad()
def randomised(model: nn.Module) -> nn.Module:
    """Every weight drawn anew, and statistics too: zeros and ones hide mistakes."""
    torch.manual_seed(0)
    for weight in model.parameters():
        if weight.dim() > 1:
            weight.normal_(std=weight[0].numel() ** -0.5)
        else:
            weight.normal_(1.0, 0.2)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model.eval()


def pair(twin: Twin) -> tuple[nn.Module, nn.Module]:
    """Both networks with the same weights."""
    dtype = torch.float64 if twin.tiny else torch.float32
    theirs = randomised(twin.build().to(dtype))
    ours = lower(network(twin.text), device="meta", dtype=dtype)
    state = twin.layout.ours(theirs.state_dict(), ours.state_dict())
    ours.load_state_dict({key: value.clone() for key, value in state.items()}, assign=True)
    return theirs, ours.eval().requires_grad_()


def maps_of(model: nn.Module, x: Tensor) -> list[Tensor]:
    with torch.no_grad():
        return model.forward_intermediates(x, intermediates_only=True) if hasattr(model, "feature_info") else []


def twin_errors(twin: Twin) -> Errors:
    """Our network against the foreign one of the same weights."""
    theirs, ours = pair(twin)
    torch.manual_seed(1)
    x = torch.randn(2, 3, *twin.size, dtype=next(theirs.parameters()).dtype)
    outputs, inputs = [], []
    for model in (ours, theirs):
        inputs.append(x.clone().requires_grad_())
        outputs.append(model(inputs[-1]))
        backward(outputs[-1])
    assert inputs[0].grad is not None and inputs[1].grad is not None and outputs[1].std() > 1e-3
    own = gradients(ours)
    expected = twin.layout.ours(gradients(theirs), own)
    errors = compared(outputs[0], outputs[1].detach(), inputs[0].grad, inputs[1].grad, worst(own, expected))
    return {**errors, **_features(maps_of(ours, x), maps_of(theirs, x))}


def _features(ours: list[Tensor], theirs: list[Tensor]) -> Errors:
    """Of the stages; timm may tell of the stem or of every block as well, ahead of what we tell of."""
    pairs = list(zip(reversed(ours), reversed(theirs), strict=False))
    assert all(a.shape == b.shape for a, b in pairs)
    errors = [relative(a, b) for a, b in pairs]
    return {"features": max(errors)} if errors else {}


PLAIN = "norm: GroupNorm bias=false\npatch_norm: LayerNorm bias=false\nhead: postnorm\n"
TOKENS = "family: isotropic\nposition: false\nclass_token: false\n"
MLPS = {
    "mixer": "mixers: TokenMLP\n",
    "resmlp": "mixers: TokenLinear\nnorm: Affine\nlayer_scale: 1e-4\n",
    "gmlp": "mixers: SpatialGating\nmlp: null\n",
}
SMALL = "classes: 5\nimage: [24, 32]\npatch: 8\nwidth: 32\ndepths: [2]\n"
SMALL_FIELDS = dict(img_size=(24, 32), patch_size=8, embed_dim=32, num_classes=5)
VIT = "family: isotropic\nmixers: attention Ch={} bias=true\n"


def metaformer(name: str, text: str) -> Twin:
    text = f"family: metaformer\nimage: 64\n{text}"
    return Twin(lambda: unset(name), text, timm_metaformer.LAYOUT, (64, 64))


def named(name: str, text: str, layout: Layout, size: tuple[int, int] = (224, 224)) -> Twin:
    return Twin(lambda: timm.create_model(name), text, layout, size)


def small_mlp(**fields: object) -> Callable[[], nn.Module]:
    return lambda: MlpMixer(num_blocks=2, **SMALL_FIELDS, **fields)


def small_vit(**fields: object) -> Callable[[], nn.Module]:
    return lambda: VisionTransformer(depth=2, num_heads=2, **SMALL_FIELDS, **fields)


def tiny(build: Callable[[], nn.Module], text: str, layout: Layout, size: tuple[int, int] = (24, 32)) -> Twin:
    return Twin(build, text, layout, size, tiny=True)


TINY = {
    "vit": tiny(small_vit(), VIT.format(16) + SMALL, timm_vit.LAYOUT),
    "vit, mean": tiny(
        small_vit(class_token=False, global_pool="avg", fc_norm=False),
        VIT.format(16) + SMALL + "class_token: false\n",
        timm_vit.LAYOUT,
    ),
    "mixer": tiny(small_mlp(), TOKENS + MLPS["mixer"] + SMALL, timm_mixer.MIXER),
    "resmlp": tiny(
        small_mlp(block_layer=ResBlock, norm_layer=Affine, mlp_ratio=4),
        TOKENS + MLPS["resmlp"] + SMALL,
        timm_mixer.RESMLP,
    ),
    "gmlp": tiny(
        small_mlp(block_layer=SpatialGatingBlock, mlp_layer=timm.layers.GatedMlp, mlp_ratio=6),
        TOKENS + MLPS["gmlp"] + SMALL,
        timm_mixer.GMLP,
    ),
    **{
        f"convnext, {side} pixels": tiny(
            lambda: ConvNeXt(depths=(1, 2, 1, 1), dims=(8, 16, 24, 32), num_classes=5),
            f"family: convnext\nimage: {side}\nclasses: 5\ndepths: [1, 2, 1, 1]\ndims: [8, 16, 24, 32]\n",
            timm_convnext.LAYOUT,
            (side, side),
        )
        for side in (40, 70)  # 70: odd maps lose their last row
    },
    # where windows do not fit, timm rolls before it pads; the released code and torchvision pad first
    "torchvision swin, 152x184": tiny(
        lambda: SwinTransformer([4, 4], 32, [2, 2], [2, 4], [7, 7], num_classes=9),
        "family: swin\ndepths: [2, 2]\ndims: [32, 64]\nmixers: window Ch=16\nclasses: 9\nimage: [152, 184]\n",
        torchvision_swin.LAYOUT,
        (152, 184),
    ),
}
WHOLE = {
    "convformer_s18": metaformer("convformer_s18", "size: s18\nmixers: SepConv\n"),
    "caformer_s18": metaformer("caformer_s18", "size: s18\nmixers: SepConv in stages 1-2, attention in stages 3-4\n"),
    "poolformerv2_s12": metaformer("poolformerv2_s12", f"size: s12\nmixers: pooling\n{PLAIN}"),
    "swin_tiny_patch4_window7_224": named(
        "swin_tiny_patch4_window7_224", "family: swin\nsize: t\nmixers: window\n", timm_swin.LAYOUT
    ),
    "convnext_tiny": named("convnext_tiny", "family: convnext\nsize: t\n", timm_convnext.LAYOUT),
    "resnet50": named("resnet50", "family: resnet\nvariant: b\n", timm_resnet.PLAIN, (75, 96)),  # odd maps tell the
    "resnet50d": named("resnet50d", "family: resnet\nvariant: d\n", timm_resnet.D, (75, 96)),  # roundings apart
    "deit_small_patch16_224": named("deit_small_patch16_224", VIT.format(64) + "width: 384\n", timm_vit.LAYOUT),
    "mixer_b16_224": named("mixer_b16_224", TOKENS + MLPS["mixer"] + "width: 768\n", timm_mixer.MIXER),
    "resmlp_12_224": named("resmlp_12_224", TOKENS + MLPS["resmlp"] + "width: 384\ndepths: [12]\n", timm_mixer.RESMLP),
    "gmlp_s16_224": named("gmlp_s16_224", TOKENS + MLPS["gmlp"] + "width: 256\ndepths: [30]\n", timm_mixer.GMLP),
}
TWINS = {**TINY, **WHOLE}
