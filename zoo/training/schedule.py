"""The learning rate over a training."""

from __future__ import annotations

import torch
from timm.scheduler import create_scheduler_v2  # type: ignore[attr-defined]
from timm.scheduler.multistep_lr import MultiStepLRScheduler
from timm.scheduler.scheduler import Scheduler

from ...compiler.recipe import Recipe

DECAY_EPOCHS = {"step": 30.0, "wsd": 0.2}


def schedule(optimiser: torch.optim.Optimizer, recipe: Recipe, updates_per_epoch: int) -> Scheduler:
    """timm's schedule of that name. It has no state: the number of updates, or of epochs, says all."""
    prefix = recipe.warmup_prefix and recipe.sched != "wsd"  # which puts its warm-up in front by itself
    made, _ = create_scheduler_v2(
        optimiser,
        recipe.sched,
        num_epochs=recipe.epochs - recipe.warmup_epochs * prefix,
        cooldown_epochs=recipe.cooldown_epochs,
        decay_epochs=recipe.decay_epochs or DECAY_EPOCHS.get(recipe.sched),
        decay_milestones=list(recipe.decay_milestones),
        decay_rate=recipe.decay_rate,
        decay_fn=recipe.decay_fn,
        min_lr=recipe.min_lr,
        warmup_lr=recipe.warmup_lr,
        warmup_epochs=recipe.warmup_epochs,
        warmup_prefix=prefix,
        step_on_epochs=not recipe.sched_on_updates,
        updates_per_epoch=updates_per_epoch,
    )
    assert made is not None, "timm has no schedule only under the name none"
    if isinstance(made, MultiStepLRScheduler):  # which steps one epoch, or update, before its milestones
        made.decay_t = [milestone + 1 for milestone in made.decay_t]
    return made


def follow(scheduler: Scheduler, epoch: int, updates: int) -> None:
    """Put the rate of the next update, behind ``updates`` of them and in an epoch counted from 0."""
    scheduler.step(epoch)  # of the two, timm's schedule hears the one it was made for
    scheduler.step_update(updates)
