"""Whole networks in evaluation beside timm's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn

from mixspec.compiler.fast import drift, fast
from mixspec.compiler.freeze import freeze
from mixspec.zoo.load import build

from ._measure import Figure, agree, clock
from ._pairs import CADA, NETWORKS, images, pair

THREADS = 2
GOALS = {"resnet50d": 1.4, "convformer_s18": 1.15, "caformer_s18": 1.5, "swin_t": 1.5}
PRESET = 2.5


def answers(model: nn.Module, x: torch.Tensor) -> Callable[[], torch.Tensor]:
    """The model on the images, as in an evaluation."""

    def call() -> torch.Tensor:
        with torch.inference_mode():
            return model(x)

    return call


def figures(quick: bool) -> Iterator[Figure]:
    """Images per second of whole networks with the same weights as timm's, two threads, 224 pixels, batch 8: as they
    are built; frozen (`mixspec.freeze`, the same outputs up to rounding); and in bfloat16 (`mixspec.fast`), each beside
    timm's network in float32 as `timm.create_model` gives it. CADA-ResNet-50 stands beside ResNet-50-D."""
    x = images(2 if quick else 8)
    for name in list(NETWORKS)[: 1 if quick else None]:
        ours, theirs = (model.eval() for model in pair(name))
        peer, frozen, low = answers(theirs, x), freeze(ours), fast(ours)
        for model in (ours, frozen):
            agree(answers(model, x)(), peer())
        goal = GOALS[name]
        yield Figure(f"{name}, as built", clock(answers(ours, x)), "timm", clock(peer), speed=True)
        yield Figure(f"{name}, frozen", clock(answers(frozen, x)), "timm", clock(peer), goal=goal, speed=True)
        note = str(drift(ours, low, x))
        sides = clock(answers(low, x)), clock(peer)
        yield Figure(f"{name}, fast", sides[0], "timm, float32", sides[1], goal=PRESET, speed=True, note=note)
    _, resnet = pair("resnet50d")
    cada, peer = freeze(build(CADA).eval()), answers(resnet.eval(), x)
    yield Figure("CADA-ResNet-50, frozen", clock(answers(cada, x)), "timm resnet50d", clock(peer), goal=0.8, speed=True)
