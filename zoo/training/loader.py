"""Batches of the training images of one process, from any update of any epoch on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

from .data import Batch, Key, Samples, as_is
from .order import Order


class Position(Sampler[list[Key]]):
    """Yields a process's slots from the position it was put at."""

    def __init__(self, order: Order, rank: int, samples: Samples) -> None:
        self.order, self.rank, self.samples = order, rank, samples
        self.epoch = self.start = 0

    def __iter__(self) -> Iterator[list[Key]]:
        if self.samples.streamed:
            return self.order.streamed(self.samples, self.epoch, self.rank, self.start)  # type: ignore[arg-type]
        return self.order.slots(self.epoch, self.rank, self.start)

    def __len__(self) -> int:
        return (self.order.updates - self.start) * self.order.parts


class Loader:
    """A :class:`DataLoader` that can start anywhere. What it reads does not depend on the number of workers."""

    def __init__(self, samples: Samples, order: Order, rank: int, workers: int = 0) -> None:
        self.order, self.position = order, Position(order, rank, samples)
        waiting: dict[str, Any] = {"persistent_workers": True, "worker_init_fn": deaf} if workers else {}
        self.batches: DataLoader[Any] = DataLoader(
            samples,  # type: ignore[arg-type]
            batch_sampler=self.position,
            collate_fn=as_is,
            num_workers=workers,
            pin_memory=torch.cuda.is_available(),
            **waiting,
        )

    def updates(self, epoch: int, start: int = 0) -> Iterator[list[Batch]]:
        """The parts of every update of an epoch from the update ``start`` on."""
        self.position.epoch, self.position.start = epoch, start
        parts: list[Batch] = []
        for batch in self.batches:
            parts.append(batch)
            if len(parts) == self.order.parts:
                yield parts
                parts = []


def deaf(worker: int) -> None:
    """A worker leaves Ctrl-C, which reaches all processes of a terminal, to the one that trains."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
