"""Low-pass filters in the frequency domain: what the box and the ideal filter share."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ..fftwork import fft_flops_filter
from ..grid import Grid
from ..mixer import Mixer, Traits

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class LowPass(Mixer):
    """Keeps the waves inside a region of the spectrum, then takes every second position; abstract."""

    region: ClassVar[Literal["box", "disc"]]
    stride: Literal[2] = Field(2, description="step between outputs, positions")

    def traits(self, at: Grid) -> Traits:
        return Traits("dense", "separate", reach=None, channels_per_weight=at.c)

    def fft_flops(self, at: Grid) -> int:
        return round(fft_flops_filter(at.h, at.w, at.c))

    def kept(self, at: Grid) -> int:
        return at.size

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        from ..ops.lowpass import low_pass

        return low_pass(x, self.region, self.stride)
