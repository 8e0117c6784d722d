"""Convolutions that change the width, each with batch norm and ReLU. VGG, arXiv:1409.1556, with arXiv:1502.03167."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import Problem
from ..grid import Grid
from ..layer import Layer, Parts, chain
from ..mixer import Mixer
from ..parts import Act, BatchNorm, Pool

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


def widened(mixer: Mixer, cin: int, cout: int) -> Layer:
    """The layer that does from ``cin`` to ``cout`` channels what the mixer does among ``cout``."""
    return mixer.widened(cin, cout) or mixer


def cannot_widen(mixer: Mixer, *where: str | int) -> Iterator[Problem]:
    """The complaint that a mixer needs as many channels behind it as in front."""
    if mixer.widened(1, 1) is None:
        yield Problem("MX102", f"{mixer.notation} cannot change the number of channels", "Conv or Gabor", where)


@dataclass(frozen=True, slots=True)
class Unit(Layer):
    """A convolution or mixer to ``c`` channels, batch norm, ReLU, and pooling where a stage ends."""

    conv: Layer
    c: int
    pool: bool = False

    def _layers(self) -> dict[str, Layer]:
        layers = {"conv": self.conv, "norm": BatchNorm(self.c), "act": Act("relu", self.c, over=True)}
        return {**layers, "pool": Pool("max", 2, 2, padding=0)} if self.pool else layers

    def out(self, at: Grid) -> Grid:
        for layer in self._layers().values():
            at = layer.out(at)
        return at

    def parts(self, at: Grid) -> Parts:
        return chain(self._layers(), at)

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        x = m.act(m.norm(m.conv(x)))
        return m.pool(x) if self.pool else x
