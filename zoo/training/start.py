"""The network that a training begins with: fresh, or from weights that were trained before."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from ...compiler.backbone import Backbone, Lowered
from ...compiler.checkpointing import Every
from ...compiler.errors import SpecError
from ...compiler.recipe import Recipe
from ...compiler.resolve import Network
from ..load import fresh, seeded
from ..pretrained import weights_file
from ..resample import filled
from ..weights import header
from .data import UNFIT


def start(network: Network, recipe: Recipe, seed: int) -> Backbone:
    """The network in training mode on the CPU, with the recipe's weights, dropout, checkpointing and memory format.

    Raises SpecError for weights of another network, OSError.
    """
    wanted = regularised(network, recipe)
    model = fresh(wanted, seed) if recipe.init is None else trained(wanted, recipe, seed)
    if recipe.grad_checkpointing:
        checkpointed(model, recipe.grad_checkpointing)
    if recipe.channels_last:
        model.to(memory_format=torch.channels_last)
    return model.train()


def regularised(network: Network, recipe: Recipe) -> Network:
    """The network with the recipe's dropout and stochastic depth, which are no part of its digest."""
    wanted = {"drop_path": recipe.drop_path, "head_dropout": recipe.drop}
    update = {name: rate for name, rate in wanted.items() if rate is not None}
    return replace(network, family=network.family.model_copy(update=update))


def trained(network: Network, recipe: Recipe, seed: int) -> Backbone:
    """The network with the weights that the recipe names, resampled where sizes differ, and the classifier it needs."""
    assert recipe.init is not None, "called where weights are named"
    file = weights_file(recipe.init)
    held = header(file)
    known, classes = held.network.family.classes, network.family.classes
    same = replace(network, family=network.family.model_copy(update={"classes": known}))
    model = filled(held, file, same, recipe.init_resample)
    if known != classes:
        with seeded(seed):
            model.reset_classifier(classes)
    return model


def checkpointed(model: Backbone, every: Every | bool) -> None:
    """Let backward compute blocks, or token mixers, again. Raises SpecError for a network of timm's that cannot."""
    foreign = not isinstance(model, Lowered)
    if foreign and every == "mixer":
        raise SpecError.of(UNFIT, "timm's networks have no token mixers to compute again", "grad_checkpointing: block")
    try:
        model.set_grad_checkpointing(True if foreign else every)
    except AssertionError as error:  # how timm's networks say it
        what = f"this network cannot compute its blocks again: {error}"
        raise SpecError.of(UNFIT, what, "grad_checkpointing: false") from error


def synchronised(model: nn.Module, device: torch.device) -> nn.Module:
    """The same modules with batch norms that see the batches of all processes. Raises SpecError without GPUs."""
    if device.type == "cpu":
        raise SpecError.of(UNFIT, "sync_bn needs GPUs", "sync_bn: false; running statistics are averaged anyway")
    return nn.SyncBatchNorm.convert_sync_batchnorm(model)
