"""FFT work of a global convolution, kept apart from multiply-adds, as the HyenaPixel repository's counter prices it.

A real transform costs n * log2(size), n the numbers it puts out (a complex bin counts once) and size the extent of the
transform: arXiv:2402.19305. It prices the algorithm as published, two forward transforms (input and filter) and one
inverse on a map padded to twice its side, whatever form an operator runs.
"""

from __future__ import annotations

from math import log2


def fft_flops_2d(h: int, w: int, k: int, channels: int) -> float:
    """FFT work, in that counter's FLOPs, of one image of h x w pixels under a k x k kernel per channel."""
    if min(h, w, k, channels) < 1:
        raise ValueError(f"sizes must be positive, got a {h}x{w} map, kernel {k} and {channels} channels")
    rows, columns = max(2 * h, k), max(2 * w, k)
    bins, size = rows * (columns // 2 + 1), rows * columns
    return channels * (2 * bins * log2(bins) + size * log2(size))


def fft_flops_1d(length: int, taps: int, channels: int) -> float:
    """FFT work, in that counter's FLOPs, of one sequence of `length` tokens under `taps` taps per channel.

    The transform of the filter is not in it: that counter reads no size off a filter without a batch axis.
    """
    if min(length, taps, channels) < 1:
        raise ValueError(f"sizes must be positive, got {length} tokens, {taps} taps and {channels} channels")
    size = max(2 * length, taps)
    bins = size // 2 + 1
    return channels * (bins * log2(bins) + size * log2(size))


def fft_flops_filter(h: int, w: int, channels: int) -> float:
    """FFT work, in that counter's FLOPs, of one image under a filter given by its spectrum: there and back."""
    bins, size = h * (w // 2 + 1), h * w
    return channels * (bins * log2(bins) + size * log2(size))
