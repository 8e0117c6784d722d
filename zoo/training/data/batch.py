"""Which images a loop asks for, and what it gets."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from torch import Tensor

T = TypeVar("T")


class Key(NamedTuple):
    """One reading of one image: ``copy`` counts those of one epoch from 0, where augmentation is repeated."""

    epoch: int
    index: int  # type: ignore[assignment]  # tuple has a method of that name
    copy: int = 0


class Bad(NamedTuple):
    """An image that cannot be used: its number in the split, its name there, and why."""

    index: int  # type: ignore[assignment]  # tuple has a method of that name
    name: str
    reason: str


class Batch(NamedTuple):
    """Images (B, C, H, W) as the network reads them, their classes (B,) and their numbers in the split (B,).

    What could not be read is left out and named in ``bad``: B may be less than was asked for, and 0.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    bad: tuple[Bad, ...] = ()


def as_is(batch: T) -> T:
    """For ``DataLoader(collate_fn=...)``: batches come whole."""
    return batch
