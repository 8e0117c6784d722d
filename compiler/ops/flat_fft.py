"""Convolution with kernels as large as the map, through one 1-D real FFT over rows laid end to end.

Rows of the map are laid out with a pitch wide enough that a shifted row never reaches a neighbour's columns. Every 2-D
shift is then a different 1-D shift, so one cyclic transform is exact, and unlike the 2-D transform its length is free
to be a fast one. Backward needs two forward and two inverse transforms; the input's spectrum is made again, not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from .numerics import blocks, compute_dtype, empty_like_layout, unused

# Per thread: bytes of one block's padded signal; its spectrum is as large again.
BLOCK_BYTES = 1 << 21


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
    """The smallest length >= `least` with prime factors up to 7 and enough factors of two for vector code.

    Timed with MKL for every length in reach of the least ones 97, 169, 391, 729, 1567, 3025, 6271 and 12321, this rule
    found the fastest each time; lengths that are smooth without those factors of two take up to twice as long.
    """
    step = 64 if least > 256 else 16
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
    return transferred(x, spectrum(filters, layout, compute_dtype(x)), layout)


def transferred(x: Tensor, transfer: Tensor, layout: Layout) -> Tensor:
    """What `convolve` computes, from the `spectrum` of the filters."""
    out = empty_like_layout(x, tuple(x.shape))
    signal = Signal(x, layout, layout.input)
    for images, channels in _blocks(x, layout):
        result = torch.fft.irfft(signal.spectrum(x[images, channels]).mul_(transfer[channels]), layout.length)
        out[images, channels].copy_(layout.output(result))
    return out


def convolve_backward(
    dy: Tensor, x: Tensor, filters: Tensor, layout: Layout, need_dx: bool, need_dfilters: bool
) -> tuple[Tensor, Tensor]:
    """Gradients of `convolve`, each made only where it is needed."""
    transfer = spectrum(filters, layout, compute_dtype(x)).conj_physical_() if need_dx else unused(x)
    dx = empty_like_layout(x, tuple(x.shape)) if need_dx else unused(x)
    bins = (x.shape[1], layout.length // 2 + 1)
    cross = x.new_zeros(bins if need_dfilters else (0,), dtype=compute_dtype(x).to_complex())
    source, target = Signal(x, layout, layout.input), Signal(dy, layout, layout.output)
    for images, channels in _blocks(x, layout):
        grad = target.spectrum(dy[images, channels])
        if need_dfilters:
            conjugate = source.spectrum(x[images, channels]).conj_physical_()
            cross[channels] += conjugate.mul_(grad).sum(0)
        if need_dx:
            result = torch.fft.irfft(grad.mul_(transfer[channels]), layout.length)
            dx[images, channels].copy_(layout.input(result))
    if not need_dfilters:
        return dx, unused(filters)
    dfilters = filters.new_zeros(filters.shape)
    layout.crop(dfilters).copy_(layout.kernel(torch.fft.irfft(cross, layout.length)))
    return dx, dfilters


class Signal:
    """A padded buffer that one block after another is laid out in: only the map's pixels are ever written."""

    def __init__(self, x: Tensor, layout: Layout, place: Callable[[Tensor], Tensor]) -> None:
        self.dtype, self.layout, self.place = compute_dtype(x), layout, place
        self.buffer = x.new_zeros((0, layout.length), dtype=self.dtype)

    def spectrum(self, block: Tensor) -> Tensor:
        """The transform (n, c, length // 2 + 1) of a block (n, c, H, W)."""
        rows = block.shape[0] * block.shape[1]
        if len(self.buffer) < rows:
            self.buffer = block.new_zeros((rows, self.layout.length), dtype=self.dtype)
        signal = self.buffer[:rows].view(*block.shape[:2], -1)
        self.place(signal).copy_(block)
        return torch.fft.rfft(signal)


def _blocks(x: Tensor, layout: Layout) -> Iterator[tuple[slice, slice]]:
    unit = layout.length * compute_dtype(x).itemsize
    return blocks(x.shape[0], x.shape[1], unit, BLOCK_BYTES, x.device)
