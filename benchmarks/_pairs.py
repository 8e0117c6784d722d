"""Our networks and timm's of the same architecture, with the same weights."""

from __future__ import annotations

import timm
import torch
from torch import nn

from mixspec.compiler.backbone import Backbone
from mixspec.zoo.load import build
from mixspec.zoo.ports import layout

NETWORKS = {
    "resnet50d": ("resnet50d", "timm_resnetd"),
    "convformer_s18": ("convformer_s18", "timm_metaformer"),
    "caformer_s18": ("caformer_s18", "timm_metaformer"),
    "swin_t": ("swin_tiny_patch4_window7_224", "timm_swin"),
}
"""Our names, timm's, and the layout of timm's weights."""
CADA = "resnet50d_cadasp_k7_b16"
"""The CADA-ResNet-50 of the tables: CADAsp in place of every 3x3 convolution of a bottleneck."""


def pair(name: str) -> tuple[Backbone, nn.Module]:
    """Ours and timm's in training mode."""
    theirs, keys = NETWORKS[name]
    torch.manual_seed(0)
    model = timm.create_model(theirs, drop_path_rate=0.0).train()  # 0.1 is its default for Swin
    ours = build(name)
    ours.load_state_dict(layout(keys).ours(model.state_dict(), ours.state_dict()))
    return ours, model


def images(batch: int) -> torch.Tensor:
    """Noise of the size of ImageNet's images."""
    return torch.randn(batch, 3, 224, 224, generator=torch.Generator().manual_seed(0))
