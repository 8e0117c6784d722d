"""Parameters and multiply-adds from the spec beside tracing a module."""

from __future__ import annotations

import time
from collections.abc import Iterator

import timm
import torch
from fvcore.nn import FlopCountAnalysis
from torch.utils.flop_counter import FlopCounterMode

from mixspec.compiler.cost import cost, count
from mixspec.zoo.load import network

from ._measure import Figure, Side, clock
from .build import PAIRS

GOAL = 1 / 1000
OTHERS = 64
"""Networks of the same blocks with other numbers of classes that are counted in one round."""


def warm(name: str) -> Side:
    """Seconds to count a network that has not been counted yet, after one with the same blocks has been."""
    first, others = network(name), [network(name, classes=10 + number) for number in range(OTHERS)]

    def side() -> float:
        cost.cache_clear()
        count(first)
        start = time.process_time()
        for one in others:
            count(one)
        return (time.process_time() - start) / OTHERS

    return side


def cold(name: str) -> Side:
    """Seconds to count a network when nothing is kept of any count before."""
    resolved = network(name)

    def run() -> None:
        cost.cache_clear()
        count(resolved)

    return clock(run)


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
    """Multiply-adds and parameters of one image, from the resolved tree on our side: warm, as in a process that goes
    through many networks (this one is new, its blocks have been counted in another), and with nothing kept. On the
    other side building timm's module on meta and running it under FlopCounterMode, or building it with weights and
    tracing it with fvcore. Both warm in that their code is loaded. That we differ from FlopCounterMode by 0 for every
    shipped spec is what `tests/torch/test_zoo_counts.py` asserts."""
    for name, theirs in list(PAIRS.items())[: 1 if quick else None]:
        if (ours := count(network(name)).macs) != (seen := traced(theirs)):
            raise ValueError(f"{name}: {ours} counted, {seen} traced")
        meta = clock(lambda n=theirs: traced(n))
        yield Figure(f"{name}, warm", warm(name), "meta + FlopCounterMode", meta, goal=GOAL)
        yield Figure(f"{name}, nothing kept", cold(name), "meta + FlopCounterMode", meta)
        if not quick:
            yield Figure(f"{name}, warm", warm(name), "fvcore", clock(lambda n=theirs: analysed(n)), goal=GOAL)
