"""Swin as ``torchvision/models/swin_transformer.py`` lays it out: downsampling and stages alternate in ``features``."""

from __future__ import annotations

import re

from ._layout import Layout


def _stage(match: re.Match[str]) -> str:
    index = int(match[1])
    return f"stages.{index // 2}.downsample" if index % 2 == 0 else f"stages.{index // 2}.blocks"


LAYOUT = Layout(
    (
        (r"^features\.0\.0", "stem.conv"),
        (r"^features\.0\.2", "stem.norm"),
        (r"^features\.(\d+)", _stage),
        (r"\.norm1", ".spatial.norm"),
        (r"\.attn\.relative_position_bias_table", ".spatial.mixer.table"),
        (r"\.attn", ".spatial.mixer"),
        (r"\.norm2", ".channel.norm"),
        (r"\.mlp\.0", ".channel.mlp.fc1"),
        (r"\.mlp\.3", ".channel.mlp.fc2"),
        (r"^norm", "head.norm"),
        (r"^head\.(weight|bias)", r"head.fc.\1"),
    ),
    derived=r"relative_position_index$",
)
