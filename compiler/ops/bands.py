"""The band form of the aggregation: the kernels of one output row as a banded matrix, applied by a matrix product.

    Y (Wo, channels) = A (Wo, G * padded width) @ X (G * padded width, channels)        one row of pixels, one head

A holds the kernel of pixel j on a diagonal band, so it is mostly zeros: padded width / G times the multiply-adds that
are needed, at the rate of a matrix product. That pays where a head has many channels or the map is narrow.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .window import Window

# Per thread: all images and heads of a row share one batched product, which wants to be large.
BLOCK_BYTES = 1 << 20


def faster(window: Window, device: torch.device) -> bool:
    """Whether this form beats the shift form: fitted to measurements on CPU, G 3 ... 9, 2 ... 64 channels a head."""
    narrow = window.padded_width <= window.kernel * (1 + 0.3 * window.channels)
    return device.type == "cpu" and window.kernel >= 5 and window.channels >= 8 and narrow


def forward(x: Tensor, maps: Tensor, y: Tensor, window: Window) -> None:
    """What `shifts.forward` computes, in this form."""
    source, kernels = _channels_last(window.padded(x, y.dtype), window), _by_row(maps, window)
    band, diagonal = _band(source, len(x), window)
    result = y.new_empty((window.out_height, len(source), window.out_width, window.channels))
    for i in range(window.out_height):
        diagonal.copy_(kernels[i])
        torch.bmm(band, _window_of_row(source, i, window), out=result[i])
    y.view(len(source), window.channels, window.out_height, -1).copy_(result.permute(1, 3, 0, 2))


def map_gradient(x: Tensor, grad: Tensor, dmaps: Tensor, window: Window) -> None:
    """What `shifts.map_gradient` computes, in this form."""
    source, kernels = _channels_last(window.padded(x, grad.dtype), window), _by_row(dmaps, window)
    band, diagonal = _band(source, len(x), window)
    for i, row in enumerate(_grad_rows(grad, window)):
        torch.bmm(row, _window_of_row(source, i, window).transpose(1, 2), out=band)
        kernels[i] += diagonal.sum(0, keepdim=True) if len(dmaps) < len(diagonal) else diagonal


def input_gradient(maps: Tensor, grad: Tensor, dx: Tensor, window: Window) -> None:
    """What `shifts.input_gradient` computes, in this form."""
    padded = grad.new_zeros((*dx.shape[:2], window.stride * window.rows, window.padded_width))
    target, kernels = _channels_last(padded, window), _by_row(maps, window)
    band, diagonal = _band(target, len(dx), window)
    for i, row in enumerate(_grad_rows(grad, window)):
        diagonal.copy_(kernels[i])
        _window_of_row(target, i, window).baddbmm_(band.transpose(1, 2), row)
    heads = target.view(len(dx), -1, *target.shape[1:])
    window.unpad(heads.permute(0, 1, 4, 2, 3).flatten(1, 2), dx)


def _channels_last(padded: Tensor, window: Window) -> Tensor:
    """(n, C, rows, columns) -> contiguous (n * heads, rows, columns, channels)."""
    split = padded.unflatten(1, (-1, window.channels)).permute(0, 1, 3, 4, 2)
    return split.flatten(0, 1).contiguous()


def _window_of_row(source: Tensor, i: int, window: Window) -> Tensor:
    """The rows that output row `i` reads: a view (n * heads, G * columns, channels)."""
    rows = source[:, window.stride * i : window.stride * i + window.kernel]
    return rows.view(len(source), -1, window.channels)


def _by_row(maps: Tensor, window: Window) -> Tensor:
    """A map (n, heads, G * G, Ho * Wo) seen as (Ho, n, heads, Wo, G, G)."""
    size = (*maps.shape[:2], window.kernel, window.kernel, window.out_height, window.out_width)
    return maps.view(size).permute(4, 0, 1, 5, 2, 3)


def _grad_rows(grad: Tensor, window: Window) -> Tensor:
    """(n, heads, channels, Ho * Wo) -> contiguous (Ho, n * heads, Wo, channels)."""
    rows = grad.view(-1, window.channels, window.out_height, window.out_width)
    return rows.permute(2, 0, 3, 1).contiguous()


def _band(source: Tensor, images: int, window: Window) -> tuple[Tensor, Tensor]:
    """Matrices of zeros (n * heads, Wo, G * columns), and their band as a view (n, heads, Wo, G, G)."""
    band = source.new_zeros((len(source), window.out_width, window.kernel * window.padded_width))
    size = (len(source), window.out_width, window.kernel, window.kernel)
    # One pixel to the right, the kernel sits `stride` columns further on.
    strides = (band.stride(0), band.stride(1) + window.stride, window.padded_width, 1)
    return band, band.as_strided(size, strides).unflatten(0, (images, -1))
