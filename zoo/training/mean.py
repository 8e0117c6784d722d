"""The running mean of a model's weights: what is evaluated and kept in its place.

The decay grows as in timm's ModelEmaV3, 1 - (1 + updates)^(-2/3). Works on the part of the weights that a process
holds, so also where they are sharded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from ...compiler.recipe import Recipe

POWER = 2 / 3


def local(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor: all of it unless it is sharded."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def held(model: nn.Module) -> dict[str, Tensor]:
    """What this process holds of a model's state, by name: the tensors themselves."""
    return {name: local(tensor.detach()) for name, tensor in model.state_dict(keep_vars=True).items()}


class Mean:
    """The mean of parameters and floating buffers; counters are copied."""

    def __init__(self, model: nn.Module, recipe: Recipe, updates_per_epoch: int) -> None:
        self.decay, self.grows, self.every = recipe.model_ema_decay, recipe.model_ema_warmup, recipe.model_ema_every
        self.start = recipe.model_ema_start * updates_per_epoch
        self.model = held(model)
        self.tensors = {name: tensor.clone() for name, tensor in self.model.items()}
        floating = [name for name, tensor in self.model.items() if tensor.is_floating_point()]
        self._counters = [name for name in self.model if name not in floating]
        self._ours, self._theirs = ([state[name] for name in floating] for state in (self.tensors, self.model))

    def weight(self, updates: int) -> float:
        """Share of the model in the mean after that many updates, counted from 1."""
        steps = max(0, updates - self.start - 1)
        if not steps:
            return 1.0
        grown = 1 - (1 + steps) ** -POWER if self.grows else self.decay
        return 1 - min(grown, self.decay)

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """One step towards the model."""
        if updates % self.every and updates > self.start:
            return
        torch._foreach_lerp_(self._ours, self._theirs, self.weight(updates))
        for name in self._counters:
            self.tensors[name].copy_(self.model[name])

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a mean that was saved."""
        for name, tensor in self.tensors.items():
            tensor.copy_(tensors[name])

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Within, the model has the mean's weights, and the mean the model's."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, mean in self.tensors.items():
            model = self.model[name]
            kept = model.clone()
            model.copy_(mean)
            mean.copy_(kept)
