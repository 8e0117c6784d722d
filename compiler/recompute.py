"""Memory for time: parts of a network whose inside is not kept for backward but computed again. arXiv:1604.06174.

The second time is the first again: random numbers are the same, and batch norms count their statistics once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recomputed(function: Callable[..., Any], m: nn.Module, x: Tensor, *more: Any) -> Any:
    """``function(m, x, *more)``, of which backward keeps the input and computes the rest again."""
    if torch.compiler.is_compiling():
        return checkpoint(function, m, x, *more, use_reentrant=False)
    return checkpoint(function, m, x, *more, use_reentrant=False, context_fn=partial(_passes, m))


def _passes(m: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """What surrounds the first pass and the second."""
    return nullcontext(), _statistics_held(m)


@contextmanager
def _statistics_held(m: nn.Module) -> Iterator[None]:
    """Batch norms normalise by the batch as ever, and leave their running statistics as they are."""
    norms = [part for part in m.modules() if isinstance(part, _BatchNorm)]
    before = [(norm, norm.momentum, norm.num_batches_tracked) for norm in norms]
    try:
        for norm, _, seen in before:
            norm.momentum, norm.num_batches_tracked = 0.0, None if seen is None else seen.clone()
        yield
    finally:
        for norm, momentum, seen in before:
            norm.momentum, norm.num_batches_tracked = momentum, seen
