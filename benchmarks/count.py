"""Parameters and multiply-adds from the spec beside tracing a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import timm
import torch
from fvcore.nn import FlopCountAnalysis
from torch.utils.flop_counter import FlopCounterMode

from mixspec.compiler import catalogue
from mixspec.compiler.cost import cost, count
from mixspec.compiler.resolve import Network, resolve

from ._measure import Figure, clock
from .build import PAIRS

GOAL = 1 / 1000


def analytic(network: Network) -> int:
    """Multiply-adds from the tree, counted anew: nothing of an earlier count is kept."""
    cost.cache_clear()
    return count(network).macs


def traced(name: str) -> int:
    """Multiply-adds of a module built on the meta device, as FlopCounterMode sees it run."""
    with torch.device("meta"):
        model, x = timm.create_model(name).eval(), torch.empty(1, 3, 224, 224)
    with FlopCounterMode(display=False) as counter:
        model(x)
    return counter.get_total_flops() // 2


def analysed(name: str) -> float:
    """What fvcore says of a module with weights; it cannot trace one without."""
    analysis = FlopCountAnalysis(timm.create_model(name).eval(), torch.zeros(1, 3, 224, 224))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return analysis.total()


def figures(quick: bool) -> Iterator[Figure]:
    """Multiply-adds of one image, from the resolved tree on our side, which keeps nothing from round to round; building
    timm's module on meta and running it under FlopCounterMode, or building it and tracing it with fvcore, on the other.
    That our count differs from FlopCounterMode by 0 for every spec is what `tests/torch/test_zoo_counts.py` asserts."""
    for name, theirs in list(PAIRS.items())[: 1 if quick else None]:
        network = resolve(catalogue.load(name))
        if (ours := analytic(network)) != (seen := traced(theirs)):
            raise ValueError(f"{name}: {ours} counted, {seen} traced")
        yield _figure(name, network, "meta + FlopCounterMode", lambda n=theirs: traced(n))
        if not quick:
            yield _figure(name, network, "fvcore", lambda n=theirs: analysed(n))


def _figure(name: str, network: Network, peer: str, theirs: Callable[[], float]) -> Figure:
    return Figure(name, clock(lambda: analytic(network)), peer, clock(theirs), goal=GOAL)
