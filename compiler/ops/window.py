"""Where a sliding window meets a map: the geometry that every form of the aggregation shares."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """Where a G x G window of a given stride meets a map: sizes in pixels, `channels` per head."""

    kernel: int
    stride: int
    height: int
    width: int
    channels: int

    @property
    def taps(self) -> int:
        return self.kernel**2

    @property
    def out_height(self) -> int:
        return (self.height - 1) // self.stride + 1

    @property
    def out_width(self) -> int:
        return (self.width - 1) // self.stride + 1

    @property
    def out_pixels(self) -> int:
        return self.out_height * self.out_width

    @property
    def rows(self) -> int:
        """Padded rows of one stride phase: tap row d reads rows d // stride ... of phase d % stride."""
        return self.out_height + (self.kernel - 1) // self.stride

    @property
    def padded_width(self) -> int:
        """Columns that any tap reads, or that the input has, whichever is more."""
        return max(self.stride * (self.out_width - 1) + self.kernel, self.width + self.kernel // 2)

    def padded(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """(n, C, H, W) -> zero-padded (n, C, stride * rows, padded width) in `dtype`."""
        buffer = x.new_zeros((*x.shape[:2], self.stride * self.rows, self.padded_width), dtype=dtype)
        self.interior(buffer).copy_(x[:, :, : self.interior_rows])
        return buffer

    @property
    def interior_rows(self) -> int:
        """Input rows that some tap reads; a strided window may skip the last ones."""
        return min(self.height, self.stride * self.rows - self.kernel // 2)

    def interior(self, padded: Tensor) -> Tensor:
        """The part of a padded block that holds the input."""
        low = self.kernel // 2
        return padded[:, :, low : low + self.interior_rows, low : low + self.width]

    def unpad(self, padded: Tensor, x: Tensor) -> None:
        """Copy the inside of a padded block to `x` (n, C, H, W); rows that no tap reads become zero."""
        x[:, :, self.interior_rows :].zero_()
        x[:, :, : self.interior_rows].copy_(self.interior(padded))


def window_of(x: Tensor, heads: int, kernel: int, stride: int) -> Window:
    """The window geometry for an input (B, C, H, W) whose channels are shared among `heads`."""
    return Window(kernel, stride, x.shape[2], x.shape[3], x.shape[1] // heads)


def check_window(x: Tensor, map_channels: int, kernel: int, stride: int) -> None:
    """Raise ValueError unless x is (B, C, H, W) and the map's channels are a head count that divides C, times G * G."""
    if x.ndim != 4:
        raise ValueError(f"x must be (B, C, H, W), got {tuple(x.shape)}")
    if kernel < 1 or stride < 1:
        raise ValueError(f"kernel and stride must be at least 1, got {kernel} and {stride}")
    if map_channels < 1 or map_channels % kernel**2:
        raise ValueError(f"{map_channels} map channels are not heads * {kernel} * {kernel}")
    heads = map_channels // kernel**2
    if x.shape[1] % heads:
        raise ValueError(f"{heads} heads do not divide {x.shape[1]} channels")


def aggregation_flop(x_shape: Shape, kernel: int, stride: int) -> int:
    """Floating point operations of one aggregation, two per multiply-add."""
    return 2 * math.prod(x_shape[:2]) * -(-x_shape[2] // stride) * -(-x_shape[3] // stride) * kernel**2
