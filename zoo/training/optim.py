"""The optimiser of a recipe, its groups of parameters, and the limit on the gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from accelerate import Accelerator
from timm.layers import GroupNorm1, LayerNorm, LayerNorm2d  # type: ignore[attr-defined]
from timm.optim import (  # type: ignore[attr-defined]
    create_optimizer_v2,
    param_groups_layer_decay,
    param_groups_weight_decay,
)
from timm.utils.agc import adaptive_clip_grad
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...compiler.recipe import Recipe

NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, LayerNorm, LayerNorm2d, GroupNorm1)


def optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """timm's optimiser of that name over the model's parameters, grouped by weight decay and depth."""
    given: dict[str, Any] = {"betas": recipe.opt_betas, "eps": recipe.opt_eps}
    return create_optimizer_v2(
        groups(model, recipe),
        recipe.opt,
        lr=recipe.peak,
        momentum=recipe.momentum,
        **{key: value for key, value in given.items() if value is not None},
    )


def groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """The parameters that learn, by weight decay and by their layer's share of the learning rate."""
    names, vectors = spared(model, recipe), recipe.no_decay == "vectors"
    if recipe.layer_decay is None:
        return param_groups_weight_decay(model, recipe.weight_decay, vectors, names)
    return param_groups_layer_decay(
        model,
        recipe.weight_decay,
        names,
        weight_decay_exclude_1d=vectors,
        layer_decay=recipe.layer_decay,
    )


def spared(model: nn.Module, recipe: Recipe) -> set[str]:
    """Names of the parameters that weight decay spares, beside those of one axis where the recipe says so."""
    hints: set[str] = model.no_weight_decay() if hasattr(model, "no_weight_decay") else set()  # type: ignore[operator]
    if recipe.no_decay == "nothing":
        return set()
    return hints | normed(model) if recipe.no_decay == "norms" else hints


def normed(model: nn.Module) -> set[str]:
    """Names of the parameters of normalisation layers."""
    return {
        f"{path}.{name}" if path else name
        for path, module in model.named_modules()
        if isinstance(module, NORMS)
        for name, _ in module.named_parameters(recurse=False)
    }


def clip(accelerator: Accelerator, parameters: Iterable[nn.Parameter], recipe: Recipe) -> float | None:
    """Limit the gradient as the recipe says. Returns its norm before, where that was asked for."""
    if recipe.clip_grad is None:
        return None
    if recipe.clip_mode == "norm":
        return float(accelerator.clip_grad_norm_(parameters, recipe.clip_grad))
    if recipe.clip_mode == "value":
        accelerator.clip_grad_value_(parameters, recipe.clip_grad)
        return None
    accelerator.unscale_gradients()
    adaptive_clip_grad(parameters, clip_factor=recipe.clip_grad)
    return None
