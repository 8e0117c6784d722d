"""The dense form of the aggregation: each head's kernels as one matrix from all input to all output pixels.

    y (channels, Ho * Wo) = x (channels, H * W) @ A (H * W, Ho * Wo)

For maps hardly larger than the window, where most pixels see each other: a gather and a matrix product, whatever G is.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

from .window import Window

# Per thread: outputs are small here next to the matrices, H * W times as large by pixel and head.
BLOCK_BYTES = 1 << 18


def faster(window: Window, device: torch.device) -> bool:
    """Whether this form beats the others in torch: fitted to measurements on CPU, sides 4 ... 14, G 3 ... 9."""
    most = max(64, 2.5 * window.taps) if window.channels >= 8 else window.taps
    return device.type == "cpu" and window.height * window.width <= most


def forward(x: Tensor, maps: Tensor, y: Tensor, window: Window) -> None:
    """What `shifts.forward` computes, in this form."""
    source = x.to(y.dtype).reshape(-1, window.channels, window.height * window.width)
    torch.bmm(source, _matrices(maps, len(x), window), out=y.flatten(0, 1))


def map_gradient(x: Tensor, grad: Tensor, dmaps: Tensor, window: Window) -> None:
    """What `shifts.map_gradient` computes, in this form."""
    source = x.to(grad.dtype).reshape(-1, window.channels, window.height * window.width)
    matrices = torch.bmm(source.transpose(1, 2), grad.flatten(0, 1))
    _, tap_of = _places(window, grad.device)
    taps = pad(matrices.flatten(1), (0, 1)).gather(1, tap_of.expand(len(matrices), -1))
    each = taps.view(len(x), *dmaps.shape[1:])
    dmaps += each.sum(0, keepdim=True) if len(dmaps) < len(each) else each


def input_gradient(maps: Tensor, grad: Tensor, dx: Tensor, window: Window) -> None:
    """What `shifts.input_gradient` computes, in this form."""
    matrices = _matrices(maps, len(dx), window)
    dx.copy_(torch.bmm(grad.flatten(0, 1), matrices.transpose(1, 2)).view(dx.shape))


def _matrices(maps: Tensor, images: int, window: Window) -> Tensor:
    """(n or 1, heads, G * G, Ho * Wo) -> (n * heads, H * W, Ho * Wo), zero where no tap leads."""
    flat = pad(maps.flatten(2), (0, 1)).expand(images, -1, -1).flatten(0, 1)
    place_of, _ = _places(window, maps.device)
    matrices = flat.gather(1, place_of.expand(len(flat), -1))
    return matrices.view(len(flat), -1, window.out_pixels)


@lru_cache(maxsize=64)
def _places(window: Window, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where in a flat map each matrix element is (H * W * Ho * Wo,), and the reverse (G * G * Ho * Wo,).

    One past the end stands for nowhere: pairs of pixels that no tap joins, and taps that fall outside the map.
    """
    taps = torch.arange(window.kernel) - window.kernel // 2
    rows = taps[:, None] + window.stride * torch.arange(window.out_height)
    columns = taps[:, None] + window.stride * torch.arange(window.out_width)
    inside = ((rows >= 0) & (rows < window.height))[:, None, :, None]
    inside = inside & ((columns >= 0) & (columns < window.width))[None, :, None, :]
    pixel = rows[:, None, :, None] * window.width + columns[None, :, None, :]
    element = pixel.flatten(2) * window.out_pixels + torch.arange(window.out_pixels)
    nowhere = window.height * window.width * window.out_pixels
    tap_of = torch.where(inside.flatten(2), element, nowhere).flatten()
    place_of = torch.full((nowhere + 1,), len(tap_of))
    place_of[tap_of] = torch.arange(len(tap_of))
    place_of[nowhere] = len(tap_of)
    return place_of[:-1].to(device), tap_of.to(device)
