"""Traits read off connection matrices, property by property."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..grid import Grid
from ..layer import Layer
from ..mixer import Mixer, Traits
from .matrix import EXACT, Matrix, separate

SAMPLES = 256
"""The most images whose kernels at one position are compared, to see of how few kernels they are mixtures."""


def measure(mixer: Mixer, at: Grid, seed: int = 0) -> Traits:
    """The traits of a settled mixer on a grid, as an instance with random parameters has them.

    The map should be larger than twice the reach, and there should be more than one head. Raises ValueError for a
    pattern of connections that has no name here.
    """
    generator = torch.Generator().manual_seed(seed)
    matrix = Matrix.of(mixer, at, seed)
    first, second, changed = torch.randn(3, 1, at.c, at.h, at.w, generator=generator, dtype=torch.float64)
    reading = Reading.of(matrix, first, second, changed)
    if reading.space == "point":
        reading = Reading.of(matrix.exact(), first, second, changed)
    return reading.traits(runs_larger(mixer, matrix))


def runs_larger(mixer: Layer, matrix: Matrix) -> bool:
    """Whether the module takes a larger map, and the mixer says so."""
    at = Grid(2 * matrix.at.h, 3 * matrix.at.w, matrix.at.c)
    if any(mixer.check(at)):
        return False
    try:
        y = matrix.module(torch.zeros(1, at.c, at.h, at.w, dtype=torch.float64))
    except (RuntimeError, ValueError):
        return False
    out = mixer.out(at)
    return tuple(y.shape) == (1, out.c, out.h, out.w)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The connection matrix for two images (1, C, H, W), and what it shows.

    ``first`` and ``second`` are the weights (kernels, positions out, positions in); ``sees`` which of them there are.
    A third image lends positions to the first, to see what changes.
    """

    matrix: Matrix
    image: Tensor
    changed: Tensor
    links: Tensor
    first: Tensor
    second: Tensor
    sees: Tensor

    @classmethod
    def of(cls, matrix: Matrix, a: Tensor, b: Tensor, changed: Tensor) -> Reading:
        """What two images show together."""
        links = matrix.channels(a) | matrix.channels(b)
        first, second = matrix.kernels(a, links), matrix.kernels(b, links)
        size = torch.maximum(first.abs(), second.abs()).amax(0)
        return cls(matrix, a, changed, links, first, second, size > 1e-12 * size.max())

    def traits(self, any_size: bool) -> Traits:
        """All properties; ``any_size`` is not one of the matrix."""
        shared = self.shared_over_positions
        dynamic: Literal["no", "image", "position"] = "no"
        if not _equal(self.first, self.second):
            dynamic = "image" if shared else "position"
        return Traits(
            self.space,
            self.channels,
            self.reach,
            shared,
            self.channels_per_weight,
            dynamic,
            self.context if dynamic != "no" else 0,
            any_size,
            None if shared or self.space != "sliding" else self.kernel_rank(dynamic != "no"),
        )

    @property
    def channels(self) -> Literal["separate", "groups", "dense"]:
        if separate(self.links):
            return "separate"
        return "dense" if bool(self.links.all()) else "groups"

    @property
    def space(self) -> Literal["point", "sliding", "blocks", "causal", "dense"]:
        if not bool((self.sees & (self.distance > 0)).any()):
            return "point"
        if torch.equal(self.sees, self.sees[:1].expand_as(self.sees)):
            return "dense"  # some positions may be skipped, but then by all outputs
        if torch.equal(self.sees, torch.ones_like(self.sees).tril()):
            return "causal"
        if self._is_equivalence:
            return "blocks"
        if self._slides:
            return "sliding"
        raise ValueError("the connections between positions are neither windows, blocks, nor all of them")

    @property
    def _is_equivalence(self) -> bool:
        """Whether seeing each other cuts the map into blocks."""
        sees = self.sees
        if sees.shape[0] != sees.shape[1] or not torch.equal(sees, sees.T):
            return False
        return torch.equal((sees.double() @ sees.double()) > 0, sees)

    @property
    def _slides(self) -> bool:
        """Whether it depends on the offset only, which positions are seen."""
        low, high = self._by_offset(self.sees.double()[None], torch.ones_like(self.sees))
        return torch.equal(low, high)

    @property
    def distance(self) -> Tensor:
        """The larger of rows and columns between an output and an input, (positions out, positions in)."""
        return self._offsets.abs().amax(2)

    @property
    def _offsets(self) -> Tensor:
        at, out = self.matrix.at, self.matrix.out
        stride = -(-at.h // out.h)
        return _places(at)[None] - stride * _places(out)[:, None]

    @property
    def _extent(self) -> int:
        return max(self.matrix.at.h, self.matrix.at.w) - 1

    def _limited(self, distance: int) -> int | None:
        return None if distance >= self._extent else distance

    @property
    def reach(self) -> int | None:
        return self._limited(int(self.distance[self.sees].max())) if bool(self.sees.any()) else 0

    @property
    def _inner(self) -> Tensor:
        """Outputs whose whole window lies on the map; where nothing slides, all of them."""
        at = self.matrix.at
        if self.space != "sliding":
            return torch.ones(len(self.sees), dtype=torch.bool)
        reach = int(self.distance[self.sees].max())
        centre = _places(at)[0] - self._offsets[:, 0]
        return ((centre >= reach) & (centre < torch.tensor([at.h, at.w]) - reach)).all(1)

    @property
    def shared_over_positions(self) -> bool:
        """Whether weights with the same offset are equal, where there are any. A border may treat them otherwise."""
        inner = self._inner
        counted = self.sees & inner[:, None] if int(inner.sum()) > 1 else self.sees
        low, high = self._by_offset(self.first, counted)
        return bool((high - low).max() <= EXACT * self.first.abs().max())

    def _by_offset(self, weights: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
        """Least and largest weight of every offset, (kernels, offsets); zero where there are none."""
        at = self.matrix.at
        offsets = self._offsets + torch.tensor([at.h, at.w])
        codes = (offsets[..., 0] * (2 * at.w + 1) + offsets[..., 1])[counted]
        values = weights[:, counted]
        codes = codes.expand_as(values)
        low, high = (
            values.new_zeros(len(values), (2 * at.h + 1) * (2 * at.w + 1)).scatter_reduce(
                1, codes, values, reduce=reduce, include_self=False
            )
            for reduce in ("amin", "amax")
        )
        return low, high

    @property
    def channels_per_weight(self) -> int:
        left, distinct = self.first, 0
        while len(left):
            left = left[(left - left[0]).abs().amax((1, 2)) > EXACT * self.first.abs().max()]
            distinct += 1
        return len(self.first) // max(distinct, 1)

    @property
    def context(self) -> int | None:
        """How far from a changed position weights change: tried in the middle and in two corners, or where blocks make
        that matter, along a diagonal.
        """
        at, farthest = self.matrix.at, 0
        tried = range(at.h) if self.space == "blocks" else (0, at.h // 2, at.h - 1)
        for row in tried:
            column = row * (at.w - 1) // (at.h - 1)
            image = self.image.clone()
            image[..., row, column] = self.changed[..., row, column]
            change = (self.matrix.kernels(image, self.links) - self.first).abs().amax((0, 2))
            rows = change > EXACT * self.first.abs().max()
            if bool(rows.any()):
                farthest = max(farthest, int(self.distance[rows, row * at.w + column].max()))
        return self._limited(farthest)

    def kernel_rank(self, dynamic: bool) -> int | None:
        """Of how few kernels those of one channel are mixtures, over positions and images; None if of no fewer than
        there are taps, or samples.
        """
        inner = self._inner.nonzero().flatten().tolist()
        if not inner:
            return None
        kernels = [weights[0][row][self.sees[row]] for weights in (self.first, self.second) for row in inner]
        count, taps = len(inner), len(kernels[0])
        if dynamic:
            row, count = inner[len(inner) // 2], min(taps + 8, SAMPLES)
            generator = torch.Generator().manual_seed(count)
            images = torch.randn(count, *self.image.shape[1:], generator=generator, dtype=self.image.dtype)
            kernels += list(self.matrix.row(images, self.links, row)[:, self.sees[row]])
        rank = int(torch.linalg.matrix_rank(torch.stack(kernels), rtol=EXACT))
        return rank if rank < min(taps, count) else None


def _places(at: Grid) -> Tensor:
    """Row and column of every position, (positions, 2)."""
    return torch.cartesian_prod(torch.arange(at.h), torch.arange(at.w))


def _equal(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() <= EXACT * a.abs().max())
