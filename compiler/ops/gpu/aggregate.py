"""The aggregation and its gradients on a GPU: which kernel runs over which grid of tiles.

A map has one of two sources: it is stored, or made anew from CADA's factors wherever it is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
from torch import Tensor

from ..window import Window
from . import aggregate_kernels as kernels
from . import dense, padded, strides

PIXELS, TAPS, CHANNELS, BASE = 32, 16, 16, 32
"""Most elements of a tile along each axis: compiled for compute capability 9.0, all kernels keep to 170 registers."""
PROGRAMS = 512
"""About as many programs as a large GPU runs at a time."""


@dataclass(frozen=True)
class Source:
    """Where the map comes from: stored (N, heads, taps, L), or alpha (N, groups, b, L) with bank and position."""

    values: Tensor
    bank: Tensor | None = None
    position: Tensor | None = None

    @property
    def base(self) -> int:
        return 0 if self.bank is None else self.bank.shape[-1]

    def arguments(self) -> tuple[object, ...]:
        """Pointers, and strides by image and head, 0 where images or heads share; unused pointers point anywhere."""
        n, h = (0 if self.values.shape[axis] == 1 else self.values.stride(axis) for axis in (0, 1))
        bank = self.values if self.bank is None else self.bank
        return self.values, n, h, bank, bank if self.position is None else self.position


def stored(planes: Tensor) -> Source:
    """A map (N, heads, taps, L) that exists."""
    return Source(planes.contiguous())


def factors(alpha: Tensor, bank: Tensor, position: Tensor | None, window: Window) -> Source:
    """A map to be made: alpha (N, (groups *) b, Ho, Wo), bank (heads * taps, b, 1, 1), position (heads * taps,)."""
    base = bank.shape[1]
    return Source(
        alpha.reshape(alpha.shape[0], -1, base, window.out_pixels).contiguous(),
        bank.reshape(-1, window.taps, base).contiguous(),
        None if position is None else position.contiguous(),
    )


def forward(x: Tensor, source: Source, y: Tensor, window: Window) -> None:
    """Write the aggregation of x (B, C, H, W) to y (B, C, Ho, Wo)."""
    x, heads, tile = dense(x), x.shape[1] // window.channels, _tile(window)
    blocks = triton.cdiv(window.channels, tile["C"])
    grid = (triton.cdiv(window.out_pixels, tile["P"]), heads * blocks, x.shape[0])
    sizes = (*_sizes(window), source.base, blocks)
    kind = dict(MADE=source.bank is not None, BIAS=source.position is not None, BASE=padded(source.base or 1, BASE))
    with torch.cuda.device_of(x):
        kernels.forward[grid](x, *strides(x), *source.arguments(), y, *strides(y), *sizes, **tile, **kind)


def input_gradient(dy: Tensor, source: Source, dx: Tensor, window: Window) -> None:
    """Write the gradient of x to dx (B, C, H, W), from that of the output dy (B, C, Ho, Wo)."""
    dy, heads, tile = dense(dy), dy.shape[1] // window.channels, _tile(window)
    blocks = triton.cdiv(window.channels, tile["C"])
    grid = (triton.cdiv(window.height * window.width, tile["P"]), heads * blocks, dy.shape[0])
    sizes = (*_sizes(window), source.base, blocks)
    kind = dict(MADE=source.bank is not None, BIAS=source.position is not None)
    with torch.cuda.device_of(dy):
        kernels.input_gradient[grid](dy, *strides(dy), *source.arguments(), dx, *strides(dx), *sizes, **tile, **kind)


def map_gradient(x: Tensor, dy: Tensor, maps: int, window: Window) -> Tensor:
    """The gradient (maps, heads, taps, L) of a stored map, `maps` of them: one for each image, or 1 for all."""
    x, dy, heads, tile = dense(x), dense(dy), x.shape[1] // window.channels, _tile(window)
    chunks = triton.cdiv(window.taps, tile["T"])
    out = x.new_empty((maps, heads, window.taps, window.out_pixels), dtype=torch.float32)
    grid = (triton.cdiv(window.out_pixels, tile["P"]), heads * chunks, maps)
    tensors = (x, *strides(x), dy, *strides(dy), out)
    with torch.cuda.device_of(x):
        kernels.map_gradient[grid](*tensors, x.shape[0] // maps, *_sizes(window), chunks, **tile)
    return out


def factor_gradients(x: Tensor, dy: Tensor, source: Source, window: Window) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of alpha (N, groups, b, L), bank (heads, taps, b) and position (heads, taps), float32."""
    x, dy = dense(x), dense(dy)
    return _alpha_gradient(x, dy, source, window), *_bank_gradients(x, dy, source, window)


def _alpha_gradient(x: Tensor, dy: Tensor, source: Source, window: Window) -> Tensor:
    tile, heads, (maps, groups) = _tile(window), x.shape[1] // window.channels, source.values.shape[:2]
    tiles, width = triton.cdiv(window.out_pixels, tile["P"]), padded(source.base, BASE)
    # Coefficients that heads share are summed over groups of heads, as many groups as keep the machine busy.
    parts = heads if groups > 1 else min(heads, triton.cdiv(PROGRAMS, tiles * maps))
    group, blocks = triton.cdiv(heads, parts), triton.cdiv(source.base, width)
    parts = triton.cdiv(heads, group)
    out = x.new_empty((maps, parts, source.base, window.out_pixels), dtype=torch.float32)
    tensors = (x, *strides(x), dy, *strides(dy), source.bank, out)
    sizes = (x.shape[0] // maps, heads, group, *_sizes(window), source.base, blocks)
    with torch.cuda.device_of(x):
        kernels.share_gradient[(tiles, parts * blocks, maps)](*tensors, *sizes, **tile, BASE=width)
    return out if groups > 1 else out.sum(1, keepdim=True)


def _bank_gradients(x: Tensor, dy: Tensor, source: Source, window: Window) -> tuple[Tensor, Tensor]:
    tile, heads = _tile(window), x.shape[1] // window.channels
    tiles, chunks = triton.cdiv(window.out_pixels, tile["P"]), triton.cdiv(window.taps, tile["T"])
    width = padded(source.base, BASE)
    workers = min(tiles * x.shape[0], triton.cdiv(PROGRAMS, heads * chunks))
    dbank = x.new_empty((workers, heads, window.taps, source.base), dtype=torch.float32)
    dposition = x.new_empty((workers, heads, window.taps), dtype=torch.float32)
    alpha, alpha_n, alpha_h = source.arguments()[:3]
    tensors = (x, *strides(x), dy, *strides(dy), alpha, alpha_n, alpha_h, dbank, dposition)
    sizes = (tiles, tiles * x.shape[0], *_sizes(window), source.base, chunks)
    grid = (workers, heads * chunks, triton.cdiv(source.base, width))
    with torch.cuda.device_of(x):
        kernels.bank_gradient[grid](*tensors, *sizes, **tile, BASE=width)
    return dbank.sum(0), dposition.sum(0)


def _tile(window: Window) -> dict[str, int]:
    return {
        "G": window.kernel,
        "S": window.stride,
        "P": padded(window.out_pixels, PIXELS),
        "T": padded(window.taps, TAPS),
        "C": min(CHANNELS, triton.next_power_of_2(window.channels)),
    }


def _sizes(window: Window) -> tuple[int, ...]:
    return window.channels, window.height, window.width, window.out_width, window.out_pixels
