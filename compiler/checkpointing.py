"""Gradient checkpointing: which layers keep their input alone for backward, and compute their inside again."""

from __future__ import annotations

import re
from typing import Literal

from .layer import Layer
from .mixer import Mixer

Every = Literal["block", "mixer"]
"""What backward may compute again in place of keeping its inside."""

_BLOCK = re.compile(r"(?:members\.\d+\.)?stages\.\d+\.blocks\.\d+")


def recomputes(layer: Layer, path: str, every: Every) -> bool:
    """Whether the layer at that path is computed again as a whole: a block, or the mixers of blocks."""
    if every == "block":
        return _BLOCK.fullmatch(path) is not None
    return isinstance(layer, Mixer) and _BLOCK.match(path) is not None
