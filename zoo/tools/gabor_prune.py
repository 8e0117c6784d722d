"""Slice-wise pruning of Gabor convolutions. After "Gabor filter incorporated CNN for compression", arXiv:2110.15644,
which prunes single slices, from one input to one output; score and threshold are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...compiler.backbone import Backbone
from ...compiler.bound import Bound
from ...compiler.errors import SpecError
from ...compiler.mixers.gabor import GaborConv
from ..training.data import AnySplit, Inputs
from ..training.evaluate import evaluate
from ..weights import network_of
from .banks import NOTHING_THERE
from .prune import twin
from .threshold import Found, affordable, bisect


@dataclass(frozen=True)
class GaborLayer:
    """Slices of one convolution: how many there are, and how many stay. ``macs`` are those of the slices that stay,
    for one image, in a convolution that leaves the others out.
    """

    path: str
    kernel: int
    slices: int
    kept: int
    macs: int


@dataclass(frozen=True)
class PrunedGabor:
    """The network with the amplitudes of pruned slices at zero, and what was found."""

    model: Backbone
    found: Found
    layers: tuple[GaborLayer, ...]

    def facts(self) -> dict[str, Any]:
        """As plain values, for JSON and for the header of a weights file."""
        return {
            "threshold": self.found.threshold,
            "removed": self.found.removed,
            "slices": sum(layer.slices for layer in self.layers),
            "top1_before": self.found.base_top1,
            "top1_after": self.found.top1,
            "layers": [vars(layer) for layer in self.layers],
        }


def prune_gabor(
    model: Backbone, split: AnySplit, inputs: Inputs, classes: Sequence[str], budget: float = 0.1
) -> PrunedGabor:
    """Remove as many slices, least amplitude first, as ``budget`` points of accuracy on ``split`` pay for.

    A slice has unit norm but for its amplitude, which is therefore its worth. ``model`` stays as it is. Raises
    SpecError for a budget that is none and a model without Gabor convolutions.
    """
    affordable(budget)
    held = list(convolutions(model))
    if not held:
        name = model.resolved.name if model.resolved else "the model"
        raise SpecError.of(NOTHING_THERE, f"{name} has no Gabor convolution", "Gabor k=7 is one")
    trial = twin(network_of(model), model)

    def accuracy(threshold: float) -> float:
        _apply(trial, model, threshold)
        return evaluate(trial, split, inputs, classes).top1

    scores = torch.cat([amplitudes(module).flatten() for _, module in held])
    found = bisect(scores, accuracy, budget)
    _apply(trial, model, found.threshold)
    return PrunedGabor(trial, found, tuple(_layer(path, module) for path, module in convolutions(trial)))


def convolutions(model: Backbone) -> Iterator[tuple[str, Bound]]:
    """Every Gabor convolution, first to last."""
    for path, module in model.named_modules():
        if isinstance(module, Bound) and isinstance(module.layer, GaborConv):
            yield path, module


def amplitudes(module: Bound) -> Tensor:
    """Norm of every slice, (outputs, inputs)."""
    return module.amplitude.detach().abs()


@torch.no_grad()
def _apply(trial: Backbone, model: Backbone, threshold: float) -> None:
    for (_, source), (_, target) in zip(convolutions(model), convolutions(trial), strict=True):
        target.amplitude.copy_(source.amplitude * (amplitudes(source) > threshold))


def _layer(path: str, module: Bound) -> GaborLayer:
    layer, kept = module.layer, int((module.amplitude != 0).sum())
    assert isinstance(layer, GaborConv)
    return GaborLayer(
        path, layer.kernel, module.amplitude.numel(), kept, layer.out(module.at).pixels * kept * layer.kernel**2
    )
