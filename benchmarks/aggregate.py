"""A kernel per head and pixel, mixed from a bank: CADAsp's operator in every stage of a ResNet-50."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn.functional import conv2d, unfold

from mixspec.compiler.ops import native
from mixspec.compiler.ops.aggregate import aggregate_decomposed

from ._measure import Figure, agree, clock, peak

BATCH, KERNEL = 8, 7
STAGES = ((64, 56), (128, 28), (256, 14), (512, 7))
"""Channels and pixels a side."""
LIMIT = (
    "What torch offers for it, addcmul, moves four numbers through the cache for each multiply-add, and a product of "
    "banded matrices computes with zeros. The native form keeps its sums in registers."
)
FORWARD, BOTH, MEMORY = 1 / 15, 1 / 8, 0.10
"""Goals, with 16 channels a head and 16 base kernels."""


@dataclass(frozen=True)
class Factors:
    """x (B, C, H, H), coefficients (B, b, H, H), bank (heads * G * G, b, 1, 1), position (heads * G * G,)."""

    x: Tensor
    alpha: Tensor
    bank: Tensor
    position: Tensor

    @classmethod
    def of(cls, channels: int, side: int, head: int, base: int, gradients: bool) -> Factors:
        taps = channels // head * KERNEL**2
        shapes = (BATCH, channels, side, side), (BATCH, base, side, side), (taps, base, 1, 1), (taps,)
        return cls(*(torch.randn(shape, requires_grad=gradients) for shape in shapes))


def ours(f: Factors) -> Tensor:
    """What a lowered network runs where there is a C++ compiler."""
    return aggregate_decomposed(f.x, f.alpha, f.bank, f.position, kernel=KERNEL)


def plain(call: Callable[[], object]) -> Callable[[], object]:
    """The call without the native form."""

    def run() -> object:
        with patch.object(native, "available", return_value=False):
            return call()

    return run


def unfolded(f: Factors) -> Tensor:
    """As in the released code of involution and its followers: the map from a 1x1 convolution, the input unfolded."""
    (b, c, h, w), heads = f.x.shape, len(f.position) // KERNEL**2
    kernels = conv2d(f.alpha, f.bank, f.position).view(b, heads, 1, KERNEL**2, h, w)
    patches = unfold(f.x, KERNEL, padding=KERNEL // 2).view(b, heads, c // heads, KERNEL**2, h, w)
    return (kernels * patches).sum(3).view(b, c, h, w)


def both(operator: Callable[[Factors], Tensor], f: Factors) -> Callable[[], object]:
    """Forward and backward to all four factors."""
    weight = torch.randn_like(f.x)
    leaves = (f.x, f.alpha, f.bank, f.position)
    return lambda: torch.autograd.grad(operator(f), leaves, weight)


def call(operator: Callable[[Factors], Tensor], channels: int, side: int, head: int, base: int) -> Callable[[], object]:
    """What `peak` measures in a process of its own; small shapes first, which load what the large ones use."""
    both(operator, Factors.of(head, KERNEL, head, base, True))()
    return both(operator, Factors.of(channels, side, head, base, True))


def figures(quick: bool) -> Iterator[Figure]:
    """CADAsp with 16 base kernels for windows of 7x7, 8 images, float32, one thread, in the stages of a ResNet-50
    (channels@pixels a side): map and aggregation, without the convolution that predicts the coefficients. Once as it
    runs where a C++ compiler is found, once in torch alone. Memory is what one forward and backward adds to its inputs,
    in a fresh process. Goals are for 16 channels a head."""
    for channels, side in STAGES[2:] if quick else STAGES:
        yield from _stage(f"{channels}@{side}", channels, side, 16)
    if not quick:
        for channels, side in (STAGES[0], STAGES[-1]):
            yield from _stage(f"{channels}@{side}, 2 a head", channels, side, 2)
        for channels, side in STAGES:
            sides = (peak(call, operator, channels, side, 16, 16) for operator in (ours, unfolded))
            yield Figure(f"peak memory, {channels}@{side}", next(sides), "unfold", next(sides), goal=MEMORY, unit="B")


def _stage(name: str, channels: int, side: int, head: int) -> Iterator[Figure]:
    f = Factors.of(channels, side, head, 16, gradients=False)
    agree(ours(f), unfolded(f))
    goal = FORWARD if head == 16 else None
    yield from _pair(f"forward, {name}", lambda: ours(f), lambda: unfolded(f), goal)
    f = Factors.of(channels, side, head, 16, gradients=True)
    goal = BOTH if head == 16 else None
    yield from _pair(f"forward + backward, {name}", both(ours, f), both(unfolded, f), goal)


def _pair(name: str, mine: Callable[[], object], theirs: Callable[[], object], goal: float | None) -> Iterator[Figure]:
    """With the native form if there is one, and without."""
    if native.library():
        yield Figure(name, clock(mine), "unfold", clock(theirs), goal=goal)
    yield Figure(f"{name}, in torch", clock(plain(mine)), "unfold", clock(theirs), goal=goal, note=LIMIT)
