"""Models with statistics and without zeros, and their frozen copies beside them."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from mixspec.compiler.freeze import freeze
from mixspec.zoo.conform.mixers import close


def live(model: Any, x: Tensor) -> Any:
    """With statistics of ``x``, and neither zeros nor ones among the weights."""
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # of all batches alike
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.1 * torch.randn_like(weight) * (weight.std() if weight.numel() > 1 else 1) + 0.01)
        model.train()(x)
    return model.eval()


def norms(model: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in model.modules())


def agrees(model: nn.Module, x: Tensor) -> nn.Module:
    """The frozen copy, which in float64 is the model but for rounding, and in float32 within 1e-5."""
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        expected, frozen = model(x), freeze(model)
        double = copy.deepcopy(model).double()
        reference = double(x.double())
        assert close(freeze(double)(x.double()), reference, 1e-10)
        assert close(copy.deepcopy(frozen).double()(x.double()), reference, 1e-4)
        # a model so conditioned that its own rounding is larger cannot be met more closely than that
        own = float((expected - reference).abs().max() / reference.abs().max())
        assert close(frozen(x), expected, max(1e-5, 3 * own))
    after = model.state_dict()
    assert list(after) == list(before) and all(torch.equal(value, after[key]) for key, value in before.items())
    return frozen
