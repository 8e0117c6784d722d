"""Convolution with kernels as large as the map, through one 1-D real FFT over rows laid end to end.

Rows of the map are laid out with a pitch wide enough that a shifted row never reaches a neighbour's columns. Every 2-D
shift is then a different 1-D shift, so one cyclic transform is exact, and unlike the 2-D transform its length is free
to be a fast one. Backward needs two forward and two inverse transforms; the input's spectrum is made again, not kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from .numerics import blocks, compute_dtype, empty_like_layout, unused

# Bytes of one block's padded signal; its spectrum is as large again.
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Reach:
    """Which taps of one axis ever meet the map: `before` of them ahead of the centre and `after` behind it."""

    first: int
    before: int
    after: int

    @classmethod
    def of(cls, size: int, taps: int, centre: int) -> Reach:
        before, after = min(centre, size - 1), min(taps - 1 - centre, size - 1)
        return cls(centre - before, before, after)

    @property
    def taps(self) -> int:
        return self.before + 1 + self.after

    @property
    def farthest(self) -> int:
        return max(self.before, self.after)

    @property
    def within(self) -> slice:
        return slice(self.first, self.first + self.taps)


@dataclass(frozen=True)
class Layout:
    """A map of height x width pixels in a transform of `length`, rows `pitch` apart."""

    height: int
    width: int
    rows: Reach
    columns: Reach

    @classmethod
    def of(cls, size: tuple[int, int], taps: tuple[int, int], centre: tuple[int, int]) -> Layout:
        return cls(*size, Reach.of(size[0], taps[0], centre[0]), Reach.of(size[1], taps[1], centre[1]))

    @property
    def pitch(self) -> int:
        return self.width + self.columns.farthest

    @property
    def length(self) -> int:
        return fast_length((self.height + self.rows.farthest) * self.pitch)

    @property
    def pixels(self) -> int:
        return self.height * self.width

    def input(self, signal: Tensor) -> Tensor:
        """The map's pixels in a buffer (..., length): a view (..., H, W)."""
        return self._view(signal, self.height, self.width, 0)

    def output(self, signal: Tensor) -> Tensor:
        """The result's pixels: taps are stored from the first one on, so the map comes out shifted by the centre."""
        return self._view(signal, self.height, self.width, self.rows.before * self.pitch + self.columns.before)

    def kernel(self, signal: Tensor) -> Tensor:
        """The taps: a view (..., rows, columns)."""
        return self._view(signal, self.rows.taps, self.columns.taps, 0)

    def _view(self, signal: Tensor, height: int, width: int, offset: int) -> Tensor:
        size, stride = (*signal.shape[:-1], height, width), (*signal.stride()[:-1], self.pitch, 1)
        return signal.as_strided(size, stride, signal.storage_offset() + offset)

    def crop(self, filters: Tensor) -> Tensor:
        """The taps of (C, K, K2) that can reach the map from any pixel."""
        return filters[:, self.rows.within, self.columns.within]


@lru_cache(maxsize=1024)
def fast_length(least: int) -> int:
    """The smallest length >= `least` with prime factors up to 7 and enough factors of two for vector code."""
    step = 64 if least > 512 else 16
    length = -(-least // step) * step
    while not _smooth(length):
        length += step
    return length


def _smooth(number: int) -> bool:
    for prime in (2, 3, 5, 7):
        while number % prime == 0:
            number //= prime
    return number == 1


def spectrum(filters: Tensor, layout: Layout, dtype: torch.dtype) -> Tensor:
    """Filters (C, K, K2) -> their transform (C, length // 2 + 1)."""
    signal = filters.new_zeros((filters.shape[0], layout.length), dtype=dtype)
    layout.kernel(signal).copy_(layout.crop(filters))
    return torch.fft.rfft(signal)


def convolve(x: Tensor, filters: Tensor, layout: Layout) -> Tensor:
    """x (B, C, H, W), filters (C, K, K2) -> (B, C, H, W) in the dtype of x."""
    dtype = compute_dtype(x)
    transfer, out = spectrum(filters, layout, dtype), empty_like_layout(x, tuple(x.shape))
    for images, channels in blocks(x.shape[0], x.shape[1], layout.length * dtype.itemsize, BLOCK_BYTES, x.device):
        source = x[images, channels]
        signal = x.new_zeros((*source.shape[:2], layout.length), dtype=dtype)
        layout.input(signal).copy_(source)
        result = torch.fft.irfft(torch.fft.rfft(signal).mul_(transfer[channels]), layout.length)
        out[images, channels].copy_(layout.output(result))
    return out


def convolve_backward(
    dy: Tensor, x: Tensor, filters: Tensor, layout: Layout, need_dx: bool, need_dfilters: bool
) -> tuple[Tensor, Tensor]:
    """Gradients of `convolve`, each made only where it is needed."""
    dtype = compute_dtype(x)
    transfer = spectrum(filters, layout, dtype).conj_physical_() if need_dx else unused(x)
    dx = empty_like_layout(x, tuple(x.shape)) if need_dx else unused(x)
    cross = x.new_zeros((x.shape[1], layout.length // 2 + 1), dtype=dtype.to_complex()) if need_dfilters else unused(x)
    for images, channels in blocks(x.shape[0], x.shape[1], layout.length * dtype.itemsize, BLOCK_BYTES, x.device):
        source = x[images, channels]
        signal = x.new_zeros((*source.shape[:2], layout.length), dtype=dtype)
        if need_dfilters:
            layout.input(signal).copy_(source)
            conjugate = torch.fft.rfft(signal).conj_physical_()
            signal.zero_()
        layout.output(signal).copy_(dy[images, channels])
        grad = torch.fft.rfft(signal)
        if need_dfilters:
            cross[channels] += conjugate.mul_(grad).sum(0)
        if need_dx:
            result = torch.fft.irfft(grad.mul_(transfer[channels]), layout.length)
            dx[images, channels].copy_(layout.input(result))
    dfilters = filters.new_zeros(filters.shape) if need_dfilters else unused(filters)
    if need_dfilters:
        layout.crop(dfilters).copy_(layout.kernel(torch.fft.irfft(cross, layout.length)))
    return dx, dfilters
