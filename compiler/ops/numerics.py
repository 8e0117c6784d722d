"""What the operators share: the precision they compute in, the memory layout they answer in, and how work is cut up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

# A block on CPU should stay in the cache; an accelerator wants few, large launches instead.
ACCELERATOR_BLOCK_BYTES = 1 << 28


def compute_dtype(x: Tensor) -> torch.dtype:
    """float64 for double input, float32 for everything else: sums over a window do not survive 8 bits of mantissa."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """The body of an operator runs at its own precision; an active autocast would round its matrix products."""
    if torch.is_autocast_enabled(x.device.type):
        return torch.autocast(x.device.type, enabled=False)
    return nullcontext()


def empty_like_layout(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """An uninitialised tensor of `shape` with the dtype, device and memory format of `x`."""
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout_of(x))


def layout_of(x: Tensor) -> torch.memory_format:
    """Channels last or not."""
    last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


def unused(x: Tensor) -> Tensor:
    """What an operator returns in place of a gradient nobody asked for."""
    return x.new_empty(0)


def blocks(
    outer: int, inner: int, unit_bytes: int, thread_bytes: int, device: torch.device
) -> Iterator[tuple[slice, slice]]:
    """Cut `outer` x `inner` units of `unit_bytes` each into slices of at most `thread_bytes` per thread on CPU.

    Whole rows of inner units are grouped when one fits; otherwise each outer unit is cut along the inner axis.
    The inner slice is the slow one, so what depends on it alone can be kept over the outer slices.
    """
    limit = thread_bytes * torch.get_num_threads() if device.type == "cpu" else ACCELERATOR_BLOCK_BYTES
    inner_step = _even_step(inner, limit // unit_bytes)
    outer_step = _even_step(outer, limit // (unit_bytes * inner)) if inner_step == inner else 1
    for i in range(0, inner, inner_step):
        for o in range(0, outer, outer_step):
            yield slice(o, min(o + outer_step, outer)), slice(i, min(i + inner_step, inner))


def _even_step(size: int, most: int) -> int:
    """The step that cuts `size` into as few slices of at most `most` as can be, all nearly alike."""
    slices = -(-size // max(1, min(size, most)))
    return -(-size // slices)
