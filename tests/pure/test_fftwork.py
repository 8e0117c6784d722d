"""FFT work against the totals that the HyenaPixel repository's own counter gives at 224 and 384 pixels."""

from __future__ import annotations

import pytest

from mixspec.compiler.fftwork import fft_flops_1d, fft_flops_2d

S18 = (3, 3, 9, 3)
S12 = (2, 2, 6, 2)
S4 = (1, 1, 1, 1)
B36 = (3, 12, 18, 3)
S18_DIMS = (64, 128, 320, 512)
B36_DIMS = (128, 256, 512, 768)
AT_224, AT_384 = (56, 28, 14, 7), (96, 48, 24, 12)


def maps(depths, dims, sides, kernels=(111, 55, 27, 13)):
    stages = zip(depths, dims, sides, kernels, strict=False)
    return sum(depth * fft_flops_2d(side, side, kernel, c) for depth, c, side, kernel in stages) / 1e9


def sequences(depths, dims, sides):
    stages = zip(depths, dims, sides, strict=False)
    return sum(depth * fft_flops_1d(side**2, 2 * side**2 - 1, c) for depth, c, side in stages) / 1e9


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (maps(S18, S18_DIMS, AT_224), 0.1385),
        (maps(S18, S18_DIMS, AT_384), 0.4604),
        (maps(S18, S18_DIMS, AT_384, (191, 95, 47, 23)), 0.4604),
        (maps(S18[:2], S18_DIMS, AT_224), 0.0911),
        (maps(S18[:2], S18_DIMS, AT_384), 0.2995),
        (maps((0, 0, 9, 3), S18_DIMS, AT_224), 0.0474),
        (maps((0, 0, 9, 3), S18_DIMS, AT_384), 0.1609),
        (maps(S12, S18_DIMS, AT_224), 0.0923),
        (maps(S4, S18_DIMS, AT_224), 0.0367),
        (maps(B36, B36_DIMS, AT_224), 0.4897),
        (sequences(S18, S18_DIMS, AT_224), 0.0470),
        (sequences(S18, S18_DIMS, AT_384), 0.1591),
        (sequences(S18[:2], S18_DIMS, AT_224), 0.0315),
        (sequences(S12, S18_DIMS, AT_224), 0.0313),
        (sequences(B36, B36_DIMS, AT_224), 0.1658),
    ],
)
def test_totals_of_the_published_counter(total, expected):
    assert round(total, 4) == expected


def test_a_kernel_beyond_twice_the_map_sets_the_side():
    assert fft_flops_2d(4, 4, 20, 1) == fft_flops_2d(10, 10, 20, 1)
    assert fft_flops_1d(4, 20, 1) == fft_flops_1d(10, 20, 1)


def test_sizes_are_positive():
    with pytest.raises(ValueError, match="0x4 map"):
        fft_flops_2d(0, 4, 3, 1)
    with pytest.raises(ValueError, match="-3 taps"):
        fft_flops_1d(4, -3, 1)
