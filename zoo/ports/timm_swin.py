"""Swin as ``timm/models/swin_transformer.py`` lays it out (timm 1.0)."""

from __future__ import annotations

from ._layout import Layout

LAYOUT = Layout(
    (
        (r"^patch_embed\.proj", "stem.conv"),
        (r"^patch_embed", "stem"),
        (r"^layers", "stages"),
        (r"\.norm1", ".spatial.norm"),
        (r"\.attn\.relative_position_bias_table", ".spatial.mixer.table"),
        (r"\.attn", ".spatial.mixer"),
        (r"\.norm2", ".channel.norm"),
        (r"\.mlp", ".channel.mlp"),
        (r"^norm", "head.norm"),
    ),
    derived=r"(relative_position_index|attn_mask)$",
)
