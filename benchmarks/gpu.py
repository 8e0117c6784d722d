"""The Triton kernels beside unfold, and beside the forms in torch, on a GPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial

import torch

from mixspec.compiler.ops import gpu
from mixspec.compiler.ops.global_conv import global_conv

from ._measure import Figure, agree, clock
from .aggregate import STAGES, Factors, both, ours, unfolded

BATCH = 128
UNFOLD = 1 / 20
"""Goal, forward and backward."""


def by(switch: str, call: Callable[[], object]) -> Callable[[], object]:
    """The call with Triton's kernels, "1", or without, "0", to its end on the GPU."""

    def run() -> object:
        os.environ[gpu.SWITCH] = switch
        done = call()
        torch.cuda.synchronize()
        return done

    return run


def factors(channels: int, side: int) -> Factors:
    """16 base kernels, 16 channels a head, in bfloat16."""
    taps = channels // 16 * 49
    shapes = (BATCH, channels, side, side), (BATCH, 16, side, side), (taps, 16, 1, 1), (taps,)
    return Factors(*(torch.randn(s, device="cuda", dtype=torch.bfloat16, requires_grad=True) for s in shapes))


def convolution(channels: int, side: int) -> Callable[[], object]:
    """Forward and backward of a filter as large as any shift, in bfloat16."""
    x = torch.randn(BATCH, channels, side, side, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    filters = torch.randn(channels, 2 * side - 1, 2 * side - 1, device="cuda", requires_grad=True)
    weight = torch.randn_like(x)
    return lambda: torch.autograd.grad(global_conv(x, filters), (x, filters), weight)


def figures(quick: bool) -> Iterator[Figure]:
    """CADAsp with 16 base kernels for windows of 7x7 in the stages of a ResNet-50, and HyenaPixel's convolution on maps
    of up to 28 pixels a side: 128 images, bfloat16, forward and backward. Nothing is measured where there is no GPU.
    """
    if not torch.cuda.is_available():
        return
    for channels, side in STAGES[-1:] if quick else STAGES:
        f = factors(channels, side)
        fast, slow = by("1", partial(ours, f)), by("0", partial(ours, f))
        agree(fast(), slow(), 1e-2)
        kernels, torch_, peer = by("1", both(ours, f)), by("0", both(ours, f)), by("0", both(unfolded, f))
        yield Figure(f"aggregate, {channels}@{side}", clock(kernels), "unfold", clock(peer), goal=UNFOLD)
        yield Figure(f"aggregate, {channels}@{side}", clock(kernels), "torch forms", clock(torch_))
    for channels, side in ((128, 28), (320, 14), (512, 7)):
        call = convolution(channels, side)
        yield Figure(f"global convolution, {channels}@{side}", clock(by("1", call)), "FFT", clock(by("0", call)))
