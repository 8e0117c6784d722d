"""Kernels as large as the map, over maps (HyenaPixel's Hpx) and over sequences (Hb)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from unittest.mock import patch

import torch
from torch import Tensor
from torch.fft import irfft, irfft2, rfft, rfft2

from mixspec.compiler.ops import native
from mixspec.compiler.ops.global_conv import global_conv
from mixspec.compiler.ops.stored import StoredFilters

from ._measure import Figure, agree, clock

BATCH = 8
STAGES = ((64, 56), (128, 28), (320, 14), (512, 7))
"""Channels and pixels a side of size S18."""
BLOCKS = (3, 3, 9, 3)
HPX, HB, STAGE = (0.5, 0.55), (0.9, 0.9), 0.8
"""Goals for eval, with what the filters alone decide kept, and for forward and backward; for any one stage."""


def released(x: Tensor, filters: Tensor) -> Tensor:
    """As the released code has it: zeros up to twice the size, a transform over both axes, kernel of 2 H - 1 taps."""
    return fourier(x, filters, 2 * x.shape[2])


def printed(x: Tensor, filters: Tensor) -> Tensor:
    """As the paper has it: zeros up to 2 H - 1, the size of the kernel."""
    return fourier(x, filters, 2 * x.shape[2] - 1)


def fourier(x: Tensor, filters: Tensor, size: int) -> Tensor:
    """x (B, C, H, H), filters (C, 2 H - 1, 2 H - 1), centred; or x (B, C, L), filters (C, 2 L - 1)."""
    if x.ndim == 3:
        y = irfft(rfft(x, n=size) * rfft(filters, n=size), n=size)
        return y[..., x.shape[2] - 1 : 2 * x.shape[2] - 1]
    sizes, taken = (size, size), slice(x.shape[2] - 1, 2 * x.shape[2] - 1)
    return irfft2(rfft2(x, s=sizes) * rfft2(filters, s=sizes), s=sizes)[..., taken, taken]


@dataclass(frozen=True)
class Pair:
    """A map and its filters, with `times` as many blocks in the network."""

    x: Tensor
    filters: Tensor
    times: int = 1

    @classmethod
    def map(cls, channels: int, side: int, times: int = 1) -> Pair:
        taps = 2 * side - 1
        return cls(torch.randn(BATCH, channels, side, side), torch.randn(channels, taps, taps) / taps, times)

    @classmethod
    def sequence(cls, channels: int, length: int, times: int = 1) -> Pair:
        return cls(torch.randn(BATCH, channels, length), torch.randn(channels, 2 * length - 1) / length**0.5, times)


def evaluated(operator: Callable[[Tensor, Tensor], Tensor], pairs: Sequence[Pair]) -> Callable[[], None]:
    """Forward without gradients."""

    @torch.inference_mode()
    def run() -> None:
        for pair in pairs:
            for _ in range(pair.times):
                operator(pair.x, pair.filters)

    return run


def frozen(pairs: Sequence[Pair]) -> Callable[[], None]:
    """Forward of what `freeze` leaves: the filters no longer change."""
    stored = [StoredFilters(pair.filters) for pair in pairs]

    @torch.inference_mode()
    def run() -> None:
        for pair, module in zip(pairs, stored, strict=True):
            for _ in range(pair.times):
                module(pair.x)

    return run


def trained(operator: Callable[[Tensor, Tensor], Tensor], pairs: Sequence[Pair]) -> Callable[[], None]:
    """Forward and backward to the map and the filters."""
    leaves = [(pair.x.clone().requires_grad_(), pair.filters.clone().requires_grad_()) for pair in pairs]
    weights = [torch.randn_like(pair.x) for pair in pairs]

    def run() -> None:
        for pair, both, weight in zip(pairs, leaves, weights, strict=True):
            for _ in range(pair.times):
                torch.autograd.grad(operator(*both), both, weight)

    return run


def figures(quick: bool) -> Iterator[Figure]:
    """The convolution alone, 8 images, float32, one thread, in the stages of HyenaPixel's size S18 (channels@pixels a
    side, or @tokens), without the network that makes the filters. Eval keeps what follows from the filters alone, as
    `freeze` does; the released code transforms them in every call. Sums are over all 18 blocks. Maps and sequences of
    up to 256 pixels are convolved tap by tap where a C++ compiler is found; `in torch` is what runs where none is."""
    maps = [Pair.map(*stage, times) for stage, times in zip(STAGES, BLOCKS, strict=True)]
    lines = [Pair.sequence(c, side * side, times) for (c, side), times in zip(STAGES, BLOCKS, strict=True)]
    for name, pairs, goals, worst in (("Hpx", maps, HPX, STAGE), ("Hb", lines, HB, 1.0)):
        for pair in pairs:
            agree(global_conv(pair.x, pair.filters), released(pair.x, pair.filters))
        yield from _compared(f"{name} of S18", pairs, released, "released (2H)", goals)
        if not quick:
            yield next(_compared(f"{name} of S18", pairs, printed, "paper (2H − 1)", (None, None)))
            with patch.object(native, "available", return_value=False):
                yield from _compared(f"{name} of S18, in torch", pairs, released, "released (2H)", goals)
            for pair in pairs:
                place = f"{name}, {pair.x.shape[1]}@{pair.x.shape[2]}"
                once = [Pair(pair.x, pair.filters)]
                yield from _compared(place, once, released, "released (2H)", (worst, worst))


def _compared(
    name: str,
    pairs: Sequence[Pair],
    peer: Callable[[Tensor, Tensor], Tensor],
    peer_name: str,
    goals: tuple[float | None, float | None],
) -> Iterator[Figure]:
    """Eval, and forward with backward."""
    side = partial(Figure, peer=peer_name)
    yield side(f"{name}, eval", clock(frozen(pairs)), theirs=clock(evaluated(peer, pairs)), goal=goals[0])
    step = clock(trained(global_conv, pairs))
    yield side(f"{name}, forward + backward", step, theirs=clock(trained(peer, pairs)), goal=goals[1])
