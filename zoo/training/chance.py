"""Random numbers that follow from whole numbers, such as seed, epoch and index, and from nothing drawn before.

So an image is changed alike whatever batch, process or worker it falls to, and a run that goes on needs no saved state.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Words = NDArray[np.uint64]

STEP = np.uint64(0x9E3779B97F4A7C15)


def mixed(words: Words) -> Words:
    """SplitMix64's output function: every bit of the input reaches every bit. Steele et al., OOPSLA 2014, Fig. 17."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def states(seed: int, places: Sequence[Sequence[int]]) -> Words:
    """One word (N,) for a seed and each of N places, which have equally many whole numbers from 0."""
    columns = np.asarray(places, dtype=np.uint64).reshape(len(places), -1)
    found = mixed(np.full(len(places), seed, dtype=np.uint64) + STEP)
    for column in columns.T:
        found = mixed((found ^ column) + STEP)
    return found


def uniform(seed: int, places: Sequence[Sequence[int]], draws: int) -> Tensor:
    """(N, draws) numbers from 0 inclusive to 1 exclusive, independent of each other."""
    counters = np.arange(1, draws + 1, dtype=np.uint64) * STEP
    words = mixed(states(seed, places)[:, None] + counters)
    return torch.from_numpy((words >> np.uint64(40)).astype(np.float32) / np.float32(2**24))


def seed_of(*numbers: int) -> int:
    """A seed of 32 bits that follows from whole numbers from 0."""
    return int(states(numbers[0], [numbers[1:]])[0] >> np.uint64(32))


def shuffled(count: int, *numbers: int) -> list[int]:
    """0 to ``count`` - 1 in an order that follows from the numbers."""
    return np.random.default_rng(seed_of(*numbers)).permutation(count).tolist()


@contextmanager
def drawing(*numbers: int) -> Iterator[None]:
    """Within, Python, NumPy and torch (on the CPU) draw from states that follow from the numbers; then as before."""
    seed = seed_of(*numbers)
    before = random.getstate(), np.random.get_state(), torch.default_generator.get_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.default_generator.set_state(before[2])
