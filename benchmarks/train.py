"""Training steps of whole networks beside timm's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional as F

from mixspec.zoo.load import build

from ._measure import Figure, agree, clock
from ._pairs import CADA, NETWORKS, images, pair

THREADS = 2
GOALS = {"resnet50d": 1.1, "convformer_s18": 1.1, "caformer_s18": 1.35, "swin_t": 1.4}


def step(model: nn.Module, x: torch.Tensor) -> Callable[[], torch.Tensor]:
    """One update with AdamW; the learning rate is zero, so that all rounds are alike."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.0)
    labels = torch.arange(len(x))

    def call() -> torch.Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        optimiser.step()
        return loss.detach()

    return call


def figures(quick: bool) -> Iterator[Figure]:
    """Training steps a second with the same weights as timm's: forward, cross-entropy, backward and AdamW in float32,
    two threads, 224 pixels, batch 8. CADA-ResNet-50 stands beside ResNet-50-D."""
    x = images(2 if quick else 8)
    for name in list(NETWORKS)[: 1 if quick else None]:
        ours, theirs = (step(model, x) for model in pair(name))
        agree(ours(), theirs())
        yield Figure(name, clock(ours), "timm", clock(theirs), goal=GOALS[name], speed=True)
    _, resnet = pair("resnet50d")
    cada, peer = step(build(CADA), x), step(resnet, x)
    yield Figure("CADA-ResNet-50", clock(cada), "timm resnet50d", clock(peer), goal=0.88, speed=True)
