"""ResNet and ResNet-D as ``timm/models/resnet.py`` lays them out (timm 1.0).

In ResNet-D the stem and the shortcut are ``nn.Sequential``s: three convolutions with two norms between them, and
pooling in front of the shortcut's convolution.
"""

from __future__ import annotations

import re

from ._layout import Layout, Renames, prefixes


def _block(match: re.Match[str]) -> str:
    return f"stages.{int(match[1]) - 1}.blocks.{match[2]}."


def _layout(stem: Renames, conv: str, norm: str) -> Layout:
    return Layout(
        (
            *stem,
            (r"^fc\.", "head.fc."),
            (r"^layer(\d)\.(\d+)\.", _block),
            (r"(blocks\.\d+\.)conv2\.", r"\1mixer.conv."),
            (rf"\.downsample\.{conv}\.", ".shortcut.conv."),
            (rf"\.downsample\.{norm}\.", ".shortcut.bn."),
        )
    )


DEEP_STEM = {
    "bn1": "bn3",
    "conv1.0": "conv1",
    "conv1.1": "bn1",
    "conv1.3": "conv2",
    "conv1.4": "bn2",
    "conv1.6": "conv3",
}

PLAIN = _layout(prefixes({"conv1": "conv1", "bn1": "bn1"}, ours="stem."), "0", "1")
D = _layout(prefixes(DEEP_STEM, ours="stem."), "1", "2")
