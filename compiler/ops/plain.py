"""Our operators in real arithmetic that every exporter knows: exact, and for inference only.

An exported program must run where this package is not. Aggregation sums shifted maps; a convolution with a kernel as
large as the map is either a depth-wise one, or, where that takes more multiply-adds, multiplication in the frequency
domain by matrices of cosines and sines: FFTs have no form in ONNX that its runtimes agree on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .flat_fft import Layout
from .window import window_of


def forms() -> dict[Any, Callable[..., Tensor]]:
    """What takes the place of each of our operators, by the operator: a table of decompositions for torch.export."""
    ours: Any = torch.ops.mixspec
    return {
        ours.global_conv2d.default: global_conv2d,
        ours.global_conv1d.default: global_conv1d,
        ours.aggregate.default: aggregate,
        ours.aggregate_decomposed.default: aggregate_decomposed,
    }


def global_conv2d(x: Tensor, filters: Tensor) -> Tensor:
    """`ops.global_conv` on maps: x (B, C, H, W), filters (C, K, K2), centre tap (K // 2, K2 // 2)."""
    k, k2 = filters.shape[1:]
    layout = Layout.of((x.shape[2], x.shape[3]), (k, k2), (k // 2, k2 // 2))
    taps = layout.crop(filters)
    return _by_spectrum(x, taps, layout) if _spectral_macs(layout) < _direct_macs(layout) else _direct(x, taps, layout)


def global_conv1d(x: Tensor, filters: Tensor, causal: bool) -> Tensor:
    """`ops.global_conv` on sequences: x (B, C, L), filters (C, T), centre tap T // 2, or 0 where causal."""
    centre = 0 if causal else filters.shape[1] // 2
    layout = Layout.of((1, x.shape[2]), (1, filters.shape[1]), (0, centre))
    return _direct(x.unsqueeze(2), layout.crop(filters.unsqueeze(1)), layout).squeeze(2)


def _direct(x: Tensor, taps: Tensor, layout: Layout) -> Tensor:
    """As a depth-wise convolution, which correlates: the taps turned round, the padding too."""
    rows, columns = layout.rows, layout.columns
    padded = F.pad(x, (columns.after, columns.before, rows.after, rows.before))
    return F.conv2d(padded, taps.flip(1, 2).unsqueeze(1), groups=x.shape[1])


def _by_spectrum(x: Tensor, taps: Tensor, layout: Layout) -> Tensor:
    """Product of the spectra on a torus wide enough that nothing comes round into the map."""
    torus = _torus(layout)
    re, im = spectrum(x, torus)
    tap_re, tap_im = spectrum(taps, torus)
    first = layout.rows.before, layout.columns.before
    return inverse(re * tap_re - im * tap_im, re * tap_im + im * tap_re, torus, first, (layout.height, layout.width))


def _torus(layout: Layout) -> tuple[int, int]:
    return layout.height + layout.rows.farthest, layout.width + layout.columns.farthest


def _direct_macs(layout: Layout) -> int:
    return layout.pixels * layout.rows.taps * layout.columns.taps


def _spectral_macs(layout: Layout) -> int:
    """For one channel: the map there and back, the product, the taps there."""
    (rows, columns), (height, width) = _torus(layout), (layout.height, layout.width)
    bins = columns // 2 + 1
    there = 2 * bins * (height * width + 2 * rows * height)
    taps = 2 * bins * layout.rows.taps * (layout.columns.taps + 2 * rows)
    return 2 * there + 4 * rows * bins + taps


def spectrum(x: Tensor, torus: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Real and imaginary part of the Fourier transform of (..., H, W), filled with zeros to the torus (rows, columns):
    (..., rows, columns // 2 + 1) each.
    """
    rows, columns = torus
    cos, sin = _waves(x, x.shape[-1], columns // 2 + 1, columns)
    re, im = x @ cos, -(x @ sin)
    cos, sin = _waves(x, rows, x.shape[-2], rows)
    return cos @ re + sin @ im, cos @ im - sin @ re


def inverse(
    re: Tensor, im: Tensor, torus: tuple[int, int], first: tuple[int, int], size: tuple[int, int], step: int = 1
) -> Tensor:
    """The map (..., height, width) of that ``size`` with such a spectrum, from its position ``first`` on in steps."""
    rows, columns = torus
    cos, sin = _waves(re, size[0], rows, rows, first[0], step)
    re, im = cos @ re - sin @ im, cos @ im + sin @ re
    cos, sin = _waves(re, size[1], columns // 2 + 1, columns, first[1], step)
    bins = torch.arange(columns // 2 + 1, device=re.device)
    alone = (bins == 0) | (2 * bins == columns)  # every other bin stands for two
    twice = 2.0 - alone.to(re.dtype)
    scale = twice / (rows * columns)
    return re @ (cos * scale).mT - im @ (sin * scale).mT


def _waves(like: Tensor, points: int, bins: int, length: int, first: int = 0, step: int = 1) -> tuple[Tensor, Tensor]:
    """Cosine and sine of 2 pi p k / length for points p = first, first + step, ... and bins k: (points, bins) each."""
    p = first + step * torch.arange(points, device=like.device)
    turns = p[:, None] * torch.arange(bins, device=like.device)[None] % length
    angle = turns.to(like.dtype) * (2 * math.pi / length)
    return angle.cos(), angle.sin()


def aggregate(x: Tensor, maps: Tensor, kernel: int, stride: int) -> Tensor:
    """`ops.aggregate`: every output a sum over its window, which unfolds x."""
    window = window_of(x, maps.shape[1] // kernel**2, kernel, stride)
    low, high = kernel // 2, (kernel - 1) // 2
    around = F.unfold(F.pad(x, (low, high, low, high)), kernel, stride=stride)
    heads = maps.shape[1] // kernel**2
    around = around.unflatten(2, (window.out_height, window.out_width)).unflatten(1, (heads, -1, kernel**2))
    return (around * maps.unflatten(1, (heads, 1, kernel**2))).sum(3).flatten(1, 2)


def aggregate_decomposed(
    x: Tensor, alpha: Tensor, bank: Tensor, position: Tensor | None, kernel: int, stride: int
) -> Tensor:
    """`ops.aggregate_decomposed`: the map is made, then aggregated with."""
    maps = F.conv2d(alpha, bank, position, groups=alpha.shape[1] // bank.shape[1])
    return aggregate(x, maps, kernel, stride)
