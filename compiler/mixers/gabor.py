"""Convolution whose kernels are Gabor functions with learnt parameters. After "Gabor filter incorporated CNN for
compression", arXiv:2110.15644; the function as in Daugman, JOSA A 2(7), 1985. Ranges, start and norm are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, PositiveInt

from ..grid import Grid
from ..init import Constant, Normal, Table
from ..layer import Layer, Parts
from ..mixer import Mixer, Traits
from ..operator import OddInt
from ..parts import Weight

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..bound import Bound

NARROWEST = 0.5
"""Least standard deviation of the envelope, pixels; the largest is half the kernel."""
ASPECTS = (0.25, 2.0)
"""Range of the envelope's aspect."""
ROUND = -math.log((ASPECTS[1] - 1) / (1 - ASPECTS[0]))
"""Where the raw aspect starts: a round envelope."""


class Gabor(Mixer):
    """A dense convolution; every slice of its kernel, from one channel to one, is a Gabor function."""

    notation = "Gabor"
    kernel: Annotated[OddInt, Field(ge=3)] = Field(7, alias="k", description="side of the kernel, positions")
    aspect: bool = Field(
        True, description="learn the envelope's aspect, a sixth number for each slice; else it is round"
    )
    stride: PositiveInt = Field(1, description="step between outputs, positions")

    def traits(self, at: Grid) -> Traits:
        return Traits("sliding", "dense", reach=self.kernel // 2)

    def parts(self, at: Grid) -> Parts:
        return {"conv": self.widened(at.c, at.c)}

    def widened(self, cin: int, cout: int) -> GaborConv:
        return GaborConv(cin, cout, self.kernel, self.stride, self.aspect)

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return m.conv(x)


@dataclass(frozen=True, slots=True)
class GaborConv(Layer):
    """A * exp(-(u^2 + gamma^2 v^2) / (2 sigma^2)) * cos(omega u + psi) for each slice (output, input), where u and v
    are a pixel's offsets from the centre along and across the wave, which theta turns.

    The function is scaled to unit norm before the amplitude A, so that |A| is the slice's norm: its worth in pruning.
    omega in (0, pi), sigma in (1/2, k/2) and gamma in (1/4, 2) are sigmoids of what is learnt.
    """

    cin: int
    cout: int
    kernel: int
    stride: int = 1
    aspect: bool = True

    def out(self, at: Grid) -> Grid:
        return at.strided(self.stride).to(self.cout)

    def parts(self, at: Grid) -> Parts:
        shape = (self.cout, self.cin)
        parts = {
            "theta": Weight(shape, Table(directions), decay=False),
            "omega": Weight(shape, Table(frequencies), decay=False),
            "psi": Weight(shape, Table(phases), decay=False),
            "sigma": Weight(shape, Widths(self.kernel), decay=False),
            "amplitude": Weight(shape, Normal(math.sqrt(2 / self.cin))),
        }
        return {**parts, "gamma": Weight(shape, Constant(ROUND), decay=False)} if self.aspect else parts

    def macs(self, at: Grid) -> int:
        return self.out(at).size * self.cin * self.kernel**2

    def kept(self, at: Grid) -> int:
        # the input; the kernels and what leads to them, once for all images
        taps = (8 + self.aspect) * self.kernel**2
        return at.pixels * self.cin + (taps + 10) * self.cin * self.cout

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        from torch.nn.functional import conv2d

        return conv2d(x, self.kernels(m), stride=self.stride, padding=self.kernel // 2)

    def freeze(self, m: Bound) -> nn.Module:
        from ..modules import convolution

        return convolution(self.kernels(m), stride=self.stride, padding=self.kernel // 2)

    def kernels(self, m: Bound) -> Tensor:
        """The kernels of now, (cout, cin, k, k)."""
        import torch

        theta, omega, psi, sigma, amplitude = (
            getattr(m, name)[..., None, None] for name in ("theta", "omega", "psi", "sigma", "amplitude")
        )
        reach = self.kernel // 2
        across = torch.arange(-reach, reach + 1, dtype=theta.dtype, device=theta.device)
        down = across[:, None]
        u = across * theta.cos() + down * theta.sin()
        v = down * theta.cos() - across * theta.sin()
        if self.aspect:
            v = v * (ASPECTS[0] + (ASPECTS[1] - ASPECTS[0]) * m.gamma[..., None, None].sigmoid())
        width = NARROWEST + (self.kernel / 2 - NARROWEST) * sigma.sigmoid()
        wave = (math.pi * omega.sigmoid() * u + psi).cos()
        g = (-(u.square() + v.square()) / (2 * width.square())).exp() * wave
        return g * (amplitude / g.square().sum((2, 3), keepdim=True).sqrt().clamp(min=1e-6))


@dataclass(frozen=True, slots=True)
class Widths:
    """Raw standard deviations: half a wavelength where the kernel has room for it."""

    kernel: int

    def weight(self, tensor: Tensor) -> None:
        wanted = 1 / _octaves(tensor.shape[0], tensor.shape[1])
        fraction = (wanted - NARROWEST) / (self.kernel / 2 - NARROWEST)
        tensor.copy_(fraction.clamp(0.05, 0.95).logit())

    def bias(self, tensor: Tensor, weight: Tensor) -> None:
        tensor.zero_()


def directions(cout: int, cin: int) -> Tensor:
    """Eight directions by turns."""
    import torch

    return (torch.arange(cout * cin) % 8).view(cout, cin) * (math.pi / 8)


def frequencies(cout: int, cin: int) -> Tensor:
    """Raw frequencies: half of what pixels can hold, and four half octaves below, by turns."""
    return _octaves(cout, cin).logit()


def phases(cout: int, cin: int) -> Tensor:
    """Any phase."""
    import torch

    return 2 * math.pi * torch.rand(cout, cin)


def _octaves(cout: int, cin: int) -> Tensor:
    """Frequencies over the highest possible; slices that differ in direction only stand together."""
    import torch

    return 0.5 * 2 ** (-(torch.arange(cout * cin) // 8 % 5).view(cout, cin) / 2)
