"""Implicit filters: a small network with sine activations turns position embeddings into the taps of a convolution,
and a window that decays with distance damps them. Hyena, arXiv:2302.10866, section 3.3; HyenaPixel, arXiv:2402.19305,
section 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..grid import Grid
from ..init import ONES, ZEROS, Linspace, Table
from ..layer import Layer, Parts
from ..parts import Buffer, Linear, Weight

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound

SLOW, FAST = math.log(0.01) / 1.5, math.log(0.01) / 0.3
"""Decay rates of the first and the last channel: the window is down to 1 % after 1.5 and after 0.3 of the length."""

EMBEDDING = (32, 32, 48, 64)
"""Width of the position embedding in stages 1 to 4."""


def embedding_width(stage: int) -> int:
    """The published width for a stage, from 1; that of the last one for any beyond."""
    return EMBEDDING[min(stage, len(EMBEDDING)) - 1]


@dataclass(frozen=True, slots=True)
class Sine(Layer):
    """sin(w * x) with a learnt frequency per unit. ``ndim`` counts the axes of x; units lie on axis 1."""

    width: int
    ndim: int

    def parts(self, at: Grid) -> Parts:
        return {"freq": Weight((1, self.width, *(1,) * (self.ndim - 2)), init=ONES)}

    def kept(self, at: Grid) -> int:
        # x for the gradient of the frequencies, w * x for that of the sine; the result is the next map's input
        return 2 * at.pixels * self.width

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return (m.freq * x).sin()


@dataclass(frozen=True, slots=True)
class FilterMlp(Layer):
    """Linear maps with a sine behind each but the last, which has no bias. Works on (1, E, K, K) or (T, E)."""

    widths: tuple[int, ...]
    ndim: int

    def parts(self, at: Grid) -> Parts:
        parts: dict[str, Layer] = {}
        last = len(self.widths) - 1
        for index, (cin, cout) in enumerate(zip(self.widths, self.widths[1:], strict=False), 1):
            # the first input is a parameter: autograd keeps it, but no memory is spent on it
            parts[f"fc{index}"] = Linear(cin, cout, bias=index < last, shared_input=index == 1)
            if index < last:
                parts[f"sin{index}"] = Sine(cout, self.ndim)
        return parts

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        for _, layer in m.named_children():
            x = layer(x)
        return x


@dataclass(frozen=True, slots=True)
class MapFilter(Layer):
    """Embeddings (1, E, K, K) to taps (C, K, K): MLP(z) * (exp(-|decay| * distance) + shift).

    Distances to the centre are held as a parameter that does not learn, so that a resampled filter can carry its own.
    """

    embedding: int
    hidden: int
    c: int
    kernel: int

    def parts(self, at: Grid) -> Parts:
        per_channel = (1, self.c, 1, 1)
        return {
            "mlp": FilterMlp((self.embedding, self.hidden, self.hidden, self.c), ndim=4),
            "decay": Weight(per_channel, init=Linspace(SLOW / self.kernel, FAST / self.kernel)),
            "shift": Weight(per_channel, init=ZEROS),
            "distance": Weight((1, 1, self.kernel, self.kernel), init=Table(centre_distance), frozen=True),
        }

    def kept(self, at: Grid) -> int:
        # the exponential, the window and the taps before it
        return 3 * self.c * self.kernel**2

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        window = (-m.decay.abs() * m.distance).exp() + m.shift
        return (m.mlp(x) * window).squeeze(0)


@dataclass(frozen=True, slots=True)
class SequenceFilter(Layer):
    """Embeddings (T, E) to taps (C, T): MLP(z) * exp(-|decay| * time), with rates and times fixed."""

    embedding: int
    hidden: int
    c: int
    taps: int
    time: Table

    def parts(self, at: Grid) -> Parts:
        return {
            "mlp": FilterMlp((self.embedding, *(self.hidden,) * 3, self.c), ndim=2),
            "decay": Buffer((1, self.c), init=Linspace(SLOW, FAST)),
            "time": Buffer((self.taps, 1), init=self.time),
        }

    def kept(self, at: Grid) -> int:
        return self.c * self.taps  # the window

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return (m.mlp(x) * (-m.decay.abs() * m.time).exp()).T


def convolved(m: Bound, x: Tensor, *, causal: bool = False) -> Tensor:
    """x with the filters that ``m.filter`` makes of ``m.positions``, or with those that :func:`stored` has kept."""
    from ..ops.global_conv import global_conv
    from ..ops.stored import StoredFilters

    if isinstance(m.filter, StoredFilters):
        return m.filter(x)
    return global_conv(x, m.filter(m.positions), causal=causal)


def stored(m: Bound, *, causal: bool = False) -> Bound:
    """``m`` with its filters in place of the network that makes them."""
    from ..ops.stored import StoredFilters

    m.filter = StoredFilters(m.filter(m.positions), causal=causal)
    del m.positions
    return m


def centre_distance(*shape: int) -> Tensor:
    """Euclidean distance of every tap of a (1, 1, K, K) kernel to its centre, in taps."""
    import torch

    height, width = shape[-2:]
    rows = torch.arange(height)[:, None] - (height - 1) / 2
    columns = torch.arange(width) - (width - 1) / 2
    return torch.hypot(rows, columns).view(shape)


def sines_of_map(*shape: int) -> Tensor:
    """(1, E, K, K): the first half of the channels encodes the column, the second the row, in the sines and cosines
    of arXiv:1706.03762, section 3.5, by turns.
    """
    import torch

    _, width, height, columns = shape
    half = width // 2
    rates = 10000 ** (-torch.arange(0, half, 2, dtype=torch.float32) / half)

    def along(size: int) -> Tensor:
        phases = torch.arange(size, dtype=torch.float32) * rates[:, None]
        return torch.stack((phases.sin(), phases.cos()), 1).flatten(0, 1)

    x = along(columns)[:, None, :].expand(half, height, columns)
    y = along(height)[:, :, None].expand(half, height, columns)
    return torch.cat((x, y))[None]


def time_from_newest(taps: int, one: int = 1) -> Tensor:
    """(T, 1): 0 at the newest token to 1 at the oldest."""
    import torch

    return torch.linspace(0, 1, taps).view(taps, one)


def time_to_oldest(taps: int, one: int = 1) -> Tensor:
    """(T, 1): 1 at the newest token to 0 at the oldest."""
    return 1 - time_from_newest(taps, one)


def time_from_centre(taps: int, one: int = 1) -> Tensor:
    """(T, 1): 0 at the centre to 1 at both ends."""
    import torch

    half = max((taps - 1) / 2, 1)
    return ((torch.arange(taps) - (taps - 1) / 2).abs() / half).view(taps, one)


def waves(taps: int, width: int) -> Tensor:
    """(T, E - 1): real and negated imaginary parts of exp(i 2 pi f t / T) for evenly spaced frequencies f."""
    import torch

    bands = width // 2
    frequencies = torch.linspace(1e-4, bands - 1, bands)
    angles = frequencies * (2 * math.pi * torch.arange(taps)[:, None] / taps)
    return torch.cat((angles.cos(), -angles.sin()), 1)


def causal_embedding(taps: int, width: int) -> Tensor:
    """(T, E): time from the newest token, and waves."""
    import torch

    return torch.cat((time_from_newest(taps), waves(taps, width)), 1)


def centred_embedding(taps: int, width: int) -> Tensor:
    """(T, E): nearness to the centre, and waves."""
    import torch

    return torch.cat((1 - time_from_centre(taps), waves(taps, width)), 1)
