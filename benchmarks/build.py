"""From a spec to a module beside timm's constructor of the same architecture."""

from __future__ import annotations

from collections.abc import Iterator

import timm
import torch

from mixspec.zoo.load import build

from ._measure import Figure, clock

PAIRS = {
    "resnet50d": "resnet50d",
    "convformer_s18": "convformer_s18",
    "caformer_s18": "caformer_s18",
    "swin_t": "swin_tiny_patch4_window7_224",
}
"""Our names and timm's."""
META, REAL = 1 / 5, 1.0


def created(name: str, device: str) -> torch.nn.Module:
    """As users of timm write it."""
    with torch.device(device):
        return timm.create_model(name)


def figures(quick: bool) -> Iterator[Figure]:
    """From the name of a shipped spec, its file read, checked and resolved, to a module: on the meta device, which has
    shapes only, and on the CPU with fresh weights. Both warm, one thread."""
    for name, theirs in list(PAIRS.items())[: 1 if quick else None]:
        parameters = (sum(p.numel() for p in model.parameters()) for model in (build(name), created(theirs, "cpu")))
        if next(parameters) != next(parameters):
            raise ValueError(f"{name} and timm's {theirs} are different networks")
        for device, goal in (("meta", META), ("cpu", REAL)):
            sides = clock(lambda n=name, d=device: build(n, device=d)), clock(lambda n=theirs, d=device: created(n, d))
            kind = "on meta" if device == "meta" else "with weights"
            yield Figure(f"{name}, {kind}", sides[0], "timm.create_model", sides[1], goal=goal)
