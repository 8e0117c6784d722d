"""Kernels in Triton for what torch has no fast form of on a GPU: the aggregation, and convolution on small maps.

They were checked in Triton's interpreter and have not been timed on hardware, so they are used only where asked for:
``MIXSPEC_TRITON=1`` in the environment. Double precision stays with the forms in torch.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ..flat_fft import Layout

SWITCH = "MIXSPEC_TRITON"
SIDE = 32
"""Largest side of a map whose rows are one tile each in the global convolution."""


def wanted(x: Tensor) -> bool:
    """Whether these kernels compute what belongs to x: asked for, on a GPU (or interpreted), not in float64."""
    if os.environ.get(SWITCH) != "1" or x.dtype == torch.float64:
        return False
    return x.device.type == "cuda" or interpreted()


def interpreted() -> bool:
    """Whether Triton runs its kernels in Python, on any device."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def padded(size: int, most: int) -> int:
    """The side of a tile over ``size`` elements: a power of two from 16, what matrix units take, to ``most``."""
    return min(most, max(16, 1 << (size - 1).bit_length()))


def row_is_a_tile(layout: Layout) -> bool:
    """Whether the global convolution has a kernel for this map; larger ones, and sequences, are transformed."""
    return 1 < layout.height <= SIDE and layout.width <= SIDE


def dense(x: Tensor) -> Tensor:
    """x (B, C, H, W) with its pixels a constant step apart, as in both usual layouts."""
    return x if x.is_contiguous(memory_format=torch.channels_last) else x.contiguous()


def strides(x: Tensor) -> tuple[int, int, int]:
    """Steps of such an x from image to image, channel to channel and pixel to pixel."""
    channels, pixels = x.shape[1], x.shape[2] * x.shape[3]
    return channels * pixels, *((pixels, 1) if x.is_contiguous() else (1, channels))
