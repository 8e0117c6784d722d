"""One threshold on the norms of many kernels, found by bisection on accuracy. arXiv:2210.17141, Table 9."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...compiler.errors import SpecError

OUT_OF_RANGE = "MX822"


@dataclass(frozen=True)
class Found:
    """The highest threshold that keeps the accuracy: kernels whose score is not above it go.

    ``base_top1`` is the accuracy before, ``top1`` with the kernels gone, percent; ``tried`` counts evaluations.
    """

    threshold: float
    removed: int
    base_top1: float
    top1: float
    tried: int


def affordable(budget: float) -> float:
    """The budget, if it is one. Raises SpecError."""
    if not 0 <= budget <= 100:
        raise SpecError.of(OUT_OF_RANGE, f"a budget of {budget:g} points of accuracy", "0 to 100; the paper takes 0.1")
    return budget


def bisect(scores: Tensor, accuracy: Callable[[float], float], budget: float) -> Found:
    """The threshold among ``scores`` (N,) that removes most of them and costs at most ``budget`` points of accuracy.

    ``accuracy`` answers for a threshold, in percent; a negative one removes nothing. Accuracy is taken to fall as more
    is removed, as bisection has to.
    """
    steps = [-1.0, *torch.unique(scores.double()).tolist()]  # sorted; norms that are equal go together
    base = accuracy(steps[0])
    low, high, best, tried = 0, len(steps), base, 1
    while high - low > 1:
        middle = (low + high) // 2
        seen, tried = accuracy(steps[middle]), tried + 1
        if seen >= base - budget - 1e-9:
            low, best = middle, seen
        else:
            high = middle
    return Found(steps[low], int((scores <= steps[low]).sum()), base, best, tried)
