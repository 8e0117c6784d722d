"""How long models take for the same images, one against the other."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

ROUNDS = 5


@torch.inference_mode()
def seconds(models: Sequence[nn.Module], x: Tensor, rounds: int = ROUNDS) -> list[float]:
    """Least time of each model for the batch ``x``. They take turns, so that a busy machine delays all alike."""
    best = [float("inf")] * len(models)
    for number in range(rounds + 1):
        for index, model in enumerate(models):
            start = time.perf_counter()
            model(x)
            if x.is_cuda:
                torch.cuda.synchronize(x.device)
            if number:  # the first round warms up
                best[index] = min(best[index], time.perf_counter() - start)
    return best
