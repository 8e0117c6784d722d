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
BLOCK_BYTES = 3 << 20


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


def spectrum(filters: Tensor, layout: Layout, dtype: torch.dtype, whole: bool) -> Tensor:
    """Filters (C, K, K2) -> their transform: the whole of it (C, length), which pairs of images need, or the half that
    the rest follows from (C, length // 2 + 1).
    """
    signal = filters.new_zeros((filters.shape[0], layout.length), dtype=dtype)
    layout.kernel(signal).copy_(layout.crop(filters))
    return torch.fft.fft(signal) if whole else torch.fft.rfft(signal)


def pairs(device: torch.device) -> bool:
    """Whether images are transformed in pairs; on GPUs nothing says that it pays."""
    return device.type == "cpu"


def convolve(x: Tensor, filters: Tensor, layout: Layout) -> Tensor:
    """x (B, C, H, W), filters (C, K, K2) -> (B, C, H, W) in the dtype of x."""
    whole = pairs(x.device) and len(x) > 1
    return transferred(x, spectrum(filters, layout, compute_dtype(x), whole), layout)


def transferred(x: Tensor, transfer: Tensor, layout: Layout) -> Tensor:
    """What `convolve` computes, from the `spectrum` of the filters."""
    out = empty_like_layout(x, tuple(x.shape))
    for kind, some in _kinds(x):
        signal = kind(x, layout)
        for images, channels in _blocks(some, x, signal):
            found = signal.spectrum(x[images, channels], layout.input)
            found.mul_(transfer[channels, : found.shape[-1]])
            signal.restore(found, layout.output, out[images, channels])
    return out


def convolve_backward(
    dy: Tensor, x: Tensor, filters: Tensor, layout: Layout, need_dx: bool, need_dfilters: bool
) -> tuple[Tensor, Tensor]:
    """Gradients of `convolve`, each made only where it is needed."""
    dtype = compute_dtype(x)
    transfer = spectrum(filters, layout, dtype, whole=False).conj_physical_() if need_dx else unused(x)
    dx = empty_like_layout(x, tuple(x.shape)) if need_dx else unused(x)
    cross = x.new_zeros((x.shape[1], layout.length // 2 + 1) if need_dfilters else (0,), dtype=dtype.to_complex())
    source, target = Single(x, layout), Single(dy, layout)
    for images, channels in _blocks(range(len(x)), x, source):
        grad = target.spectrum(dy[images, channels], layout.output)
        if need_dfilters:
            conjugate = source.spectrum(x[images, channels], layout.input).conj_physical_()
            cross[channels] += conjugate.mul_(grad).sum(0)
        if need_dx:
            target.restore(grad.mul_(transfer[channels]), layout.input, dx[images, channels])
    if not need_dfilters:
        return dx, unused(filters)
    dfilters = filters.new_zeros(filters.shape)
    layout.crop(dfilters).copy_(layout.kernel(torch.fft.irfft(cross, layout.length)))
    return dx, dfilters


class Single:
    """Images as real signals, in a padded buffer that one block after another is laid out in: only the map's pixels are
    ever written.
    """

    images = 1
    """How many of them make a signal."""

    def __init__(self, x: Tensor, layout: Layout) -> None:
        self.length, self.dtype = layout.length, compute_dtype(x)
        self.buffer = x.new_zeros((0, self.length), dtype=self.dtype.to_complex() if self.images > 1 else self.dtype)

    def spectrum(self, block: Tensor, place: Callable[[Tensor], Tensor]) -> Tensor:
        """The transform (n, c, bins) of a block (n * images, c, H, W) that is laid out as `place` says."""
        signals, channels = len(block) // self.images, block.shape[1]
        if len(self.buffer) < signals * channels:
            self.buffer = self.buffer.new_zeros((signals * channels, self.length))
        signal = self.buffer[: signals * channels].view(signals, channels, -1)
        self.lay(block, place(signal))
        return self.transform(signal)

    def lay(self, block: Tensor, signal: Tensor) -> None:
        signal.copy_(block)

    def transform(self, signal: Tensor) -> Tensor:
        return torch.fft.rfft(signal)

    def restore(self, spectrum: Tensor, place: Callable[[Tensor], Tensor], block: Tensor) -> None:
        """Write the images of a transform (n, c, bins) to a block (n * images, c, H, W)."""
        block.copy_(place(torch.fft.irfft(spectrum, self.length)))


class Pair(Single):
    """Two images as the real and the imaginary part of one signal. Filters are real, so neither reaches the other, but
    by rounding and where one is not finite. Such transforms take two thirds to three quarters of the time.
    """

    images = 2

    def lay(self, block: Tensor, signal: Tensor) -> None:
        torch.complex(block[::2].to(self.dtype), block[1::2].to(self.dtype), out=signal)

    def transform(self, signal: Tensor) -> Tensor:
        return torch.fft.fft(signal)

    def restore(self, spectrum: Tensor, place: Callable[[Tensor], Tensor], block: Tensor) -> None:
        signal = place(torch.fft.ifft(spectrum))
        block[::2].copy_(signal.real)
        block[1::2].copy_(signal.imag)


def _kinds(x: Tensor) -> Iterator[tuple[type[Single], range]]:
    """The signals that images (B, C, H, W) are made to, and which images each."""
    paired = len(x) // 2 * 2 if pairs(x.device) else 0
    if paired:
        yield Pair, range(paired)
    if paired < len(x):
        yield Single, range(paired, len(x))


def _blocks(images: range, x: Tensor, signal: Single) -> Iterator[tuple[slice, slice]]:
    """Blocks of images and channels whose signals stay in the cache."""
    unit, step = signal.length * signal.buffer.itemsize, signal.images
    for some, channels in blocks(len(images) // step, x.shape[1], unit, BLOCK_BYTES, x.device):
        yield slice(images.start + some.start * step, min(images.start + some.stop * step, images.stop)), channels
