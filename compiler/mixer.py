"""What a token mixer is, and what it assumes about images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, Self, TypeVar

from pydantic import PositiveInt

from .errors import Problem
from .grid import Grid
from .layer import Layer, On
from .operator import Operator
from .suggest import divisors, factors

HeadChannels = PositiveInt | Literal["all"]
"""Channels that share one kernel: a number, or all of them."""

M = TypeVar("M", bound="Mixer")


@dataclass(frozen=True, slots=True)
class Traits:
    """The inductive biases of a mixer on a grid, in the words of Table 1 of arXiv:2106.04263 and of arXiv:2210.17141.

    They describe the connection matrix of the spatial operation: what every output is a weighted sum of, with the
    weights as they were predicted. 1x1 maps, norms and activations around it are no part of it, unless there is nothing
    else. ``compiler.measure`` reads the same off a module.

    ``space``: which positions an output sees: its own, a window that slides along, the block it lies in, all, or
    (``causal``) itself and all before it in row-major order. ``channels``: which channels: one, a group, all.
    ``reach`` is the largest distance in positions, along an axis, over which an output sees an input, and ``context``
    the same for the positions a dynamic weight is predicted from; None means the whole map. ``dynamic``: the same
    weights for the whole image, or others at every position. ``kernel_rank`` bounds, where kernels are not shared over
    positions, the dimension of the space they all lie in (mixtures of base kernels); None means nothing bounds it.
    A window of a single position is a point.
    """

    space: Literal["point", "sliding", "blocks", "causal", "dense"]
    channels: Literal["separate", "groups", "dense"]
    reach: int | None = 0
    shared_over_positions: bool = True
    channels_per_weight: int = 1
    dynamic: Literal["no", "image", "position"] = "no"
    context: int | None = 0
    any_size: bool = True
    kernel_rank: int | None = None

    def __post_init__(self) -> None:
        if self.space == "sliding" and self.reach == 0:
            object.__setattr__(self, "space", "point")


class Mixer(Operator):
    """Mixes tokens: (B, C, H, W) to (B, C, H / stride, W / stride). Adapted to a place by ``settle``."""

    takes_token: ClassVar[bool] = False
    """Whether a class token can go along: see ``with_token``."""
    reads_size: ClassVar[bool] = False
    """Whether it is told the map's height and width when a class token goes along."""

    def traits(self, at: Grid) -> Traits:
        """Its inductive biases on this grid."""
        raise TypeError(f"{type(self).__name__} states no traits")

    @classmethod
    def strides(cls) -> bool:
        """Whether it can shrink the map: it can if it has a field ``stride``."""
        return "stride" in cls.model_fields

    def strided(self, stride: int) -> Self:
        """The same mixer, reading every ``stride``-th position."""
        return self if stride == 1 else self.model_copy(update={"stride": stride})

    def out(self, at: Grid) -> Grid:
        return at.strided(getattr(self, "stride", 1))

    def with_token(self, at: Grid) -> On:
        """The mixer of a class token and the map ``at``, for mixers that take tokens. It is called with rows
        (B, C, 1, 1 + H W), the token first, and where it ``reads_size`` with the map's height and width.
        """
        return self.on(Grid(1, 1 + at.pixels, at.c))

    def widened(self, cin: int, cout: int) -> Layer | None:
        """The layer that does from ``cin`` to ``cout`` channels what this does among ``cout``; None if it needs as many
        channels behind it as in front.
        """
        return None


def divides(operator: Operator, field: str, c: int) -> Iterator[Problem]:
    """The complaint that a field of ``operator`` does not divide ``c`` channels, with the nearest values that do."""
    value = getattr(operator, field)
    if value != "all" and c % value:
        letter = type(operator).model_fields[field].alias or field
        near = ", ".join(map(str, divisors(c, value)))
        legal = tuple(map(str, sorted(factors(c), key=lambda d: abs(d - value))))
        what = f"{letter}={value} does not divide {c} channels"
        yield Problem("MX203", what, f"nearest: {near}", (field,), nearest=legal)


def mixture(kernels: int, taps: int) -> int | None:
    """The ``kernel_rank`` of kernels with so many taps that are mixed from so many."""
    return kernels if kernels < taps else None


def head_width(head_channels: HeadChannels, c: int) -> int:
    """Channels of one head among ``c``."""
    return c if head_channels == "all" else head_channels


def for_map(mixer: M, at: Grid) -> M:
    """A mixer with weights for every position: with the ``height`` and ``width`` of its output where none are said."""
    out = mixer.out(at)
    sizes = {"height": out.h, "width": out.w}
    return mixer.model_copy(update={field: getattr(mixer, field) or size for field, size in sizes.items()})


def fits(mixer: Mixer, at: Grid) -> Iterator[Problem]:
    """The complaint that a mixer with weights for every position, those of its ``height`` and ``width``, has others."""
    out = mixer.out(at)
    for field, size in (("height", out.h), ("width", out.w)):
        learnt = getattr(mixer, field)
        if learnt not in (None, size):
            what = f"weights for a {field} of {learnt} positions, the map has {size}"
            yield Problem("MX204", what, "positions have weights of their own: the image size is fixed", (field,))
