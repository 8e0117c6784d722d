"""Low-pass filters in the frequency domain. arXiv:2210.17141, appendix A.3.1."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from . import plain

CUT = 0.25
"""Cycles per position: a wave above it cannot be told from another one when every second position is left."""
_ROUNDING = 1e-6


def low_pass(x: Tensor, band: Literal["box", "disc"], stride: int) -> Tensor:
    """(B, C, H, W) without its high frequencies, at every ``stride``-th position.

    ``box`` keeps a wave if its frequency along each axis is within the cut, ``disc`` if the length of both is. The map
    counts as periodic.
    """
    height, width = x.shape[2:]
    if torch.compiler.is_exporting():  # runtimes elsewhere have no transforms
        kept = kept_band(height, width, band, x.device)
        re, im = plain.spectrum(x, (height, width))
        size = -(-height // stride), -(-width // stride)
        return plain.inverse(re * kept, im * kept, (height, width), (0, 0), size, stride)
    spectrum = torch.fft.rfft2(x.float() if x.dtype in (torch.float16, torch.bfloat16) else x)
    y = torch.fft.irfft2(spectrum * kept_band(height, width, band, x.device), s=(height, width))
    # a copy, not a view: what reads it next would keep the map of full size for backward
    return y[..., ::stride, ::stride].contiguous().to(x.dtype)


def kept_band(height: int, width: int, band: Literal["box", "disc"], device: torch.device) -> Tensor:
    """One where a bin of the real transform is kept and zero elsewhere, (height, width // 2 + 1)."""
    row, column = torch.arange(height, device=device), torch.arange(width // 2 + 1, device=device)
    rows = (torch.minimum(row, height - row) / height).square()[:, None]
    columns = (column / width).square()
    square = rows + columns if band == "disc" else torch.maximum(rows, columns)
    return (square <= CUT**2 + _ROUNDING).float()
