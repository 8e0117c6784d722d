"""Where a layer stands, and what it costs there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grid:
    """A feature map without its batch: ``h`` x ``w`` positions of ``c`` channels."""

    h: int
    w: int
    c: int

    @property
    def pixels(self) -> int:
        return self.h * self.w

    @property
    def size(self) -> int:
        return self.h * self.w * self.c

    def to(self, c: int) -> Grid:
        """The same positions with ``c`` channels."""
        return self if c == self.c else Grid(self.h, self.w, c)

    def strided(self, stride: int) -> Grid:
        """Every ``stride``-th position, the first included: sizes are rounded up."""
        return self if stride == 1 else Grid(-(-self.h // stride), -(-self.w // stride), self.c)

    def __str__(self) -> str:
        return f"{self.h}x{self.w}x{self.c}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a layer costs for one image. Costs add.

    ``params``: numbers held as parameters, ``params_trainable`` those that learn; ``macs``: multiply-adds of
    convolutions, linear maps, matrix products and aggregations; ``fft_flops``: work of Fourier transforms, counted
    apart; ``activation_bytes``: kept for backward in float32 training, for one image.
    """

    params: int = 0
    params_trainable: int = 0
    macs: int = 0
    fft_flops: int = 0
    activation_bytes: int = 0

    @property
    def numbers(self) -> tuple[int, int, int, int, int]:
        """The fields in order."""
        return self.params, self.params_trainable, self.macs, self.fft_flops, self.activation_bytes

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.params + other.params,
            self.params_trainable + other.params_trainable,
            self.macs + other.macs,
            self.fft_flops + other.fft_flops,
            self.activation_bytes + other.activation_bytes,
        )
