"""Key maps of foreign checkpoint layouts, one file each: a state dict of theirs as one of ours, and back."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._layout import Layout

LAYOUTS = (
    "cvt",
    "hyenapixel",
    "localvit_dw",
    "localvit_ddw",
    "localvit_idynamic",
    "timm_convnext",
    "timm_gmlp",
    "timm_metaformer",
    "timm_mixer",
    "timm_resmlp",
    "timm_resnet",
    "timm_resnetd",
    "timm_swin",
    "timm_vit",
    "torchvision_swin",
)
"""Layouts of whole networks, by name."""

_PLACES = {
    "hyenapixel": "hyenapixel.MODEL",
    "localvit_dw": "localvit.DW",
    "localvit_ddw": "localvit.DDW",
    "localvit_idynamic": "localvit.IDYNAMIC",
    "timm_gmlp": "timm_mixer.GMLP",
    "timm_mixer": "timm_mixer.MIXER",
    "timm_resmlp": "timm_mixer.RESMLP",
    "timm_resnet": "timm_resnet.PLAIN",
    "timm_resnetd": "timm_resnet.D",
}
"""Module and constant of those that are not the LAYOUT of the module of their name."""


def layout(name: str) -> Layout:
    """The layout of that name, one of LAYOUTS; torch is imported with it."""
    module, constant = _PLACES.get(name, f"{name}.LAYOUT").split(".")
    found: Layout = getattr(import_module(f"{__name__}.{module}"), constant)
    return found
