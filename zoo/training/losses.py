"""What a network is trained to lower, as one of timm's tasks: images and targets in, a loss out."""

from __future__ import annotations

import torch
from timm.loss import BinaryCrossEntropy, LabelSmoothingCrossEntropy, SoftTargetCrossEntropy  # type: ignore[attr-defined]
from timm.task import ClassificationTask, DistillationTeacher, LogitDistillationTask, TrainingTask
from torch import Tensor, nn

from ...compiler.errors import SpecError
from ...compiler.recipe import Recipe
from ..load import moved
from ..pretrained import weights_file
from ..weights import fill, header
from .data import UNFIT, Inputs
from .data.inputs import by_channel


def criterion(recipe: Recipe) -> nn.Module:
    """The loss; mixed targets come smoothed already."""
    if recipe.bce_loss:
        return BinaryCrossEntropy(smoothing=0.0 if recipe.mixes else recipe.smoothing)
    if recipe.mixes:
        return SoftTargetCrossEntropy()
    return LabelSmoothingCrossEntropy(recipe.smoothing) if recipe.smoothing else nn.CrossEntropyLoss()


class Described(nn.Module):
    """A model that says, as timm's models do, how its images are normalised and how many classes it knows."""

    def __init__(self, model: nn.Module, inputs: Inputs, classes: int) -> None:
        super().__init__()
        self.network, self.num_classes, self.in_chans = model, classes, inputs.channels
        mean, std = by_channel(inputs.mean, inputs.channels), by_channel(inputs.std, inputs.channels)
        self.pretrained_cfg = {"mean": mean, "std": std}

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


def task(model: nn.Module, recipe: Recipe, inputs: Inputs, classes: tuple[str, ...], at: torch.device) -> TrainingTask:
    """The recipe's loss on a model's answers, and on a teacher's where there is one. Raises SpecError, OSError."""
    if recipe.teacher is None:
        return ClassificationTask(model, criterion(recipe), device=at, verbose=False)
    return LogitDistillationTask(
        Described(model, inputs, len(classes)),
        DistillationTeacher(teacher(recipe.teacher, inputs, classes).to(at), device=at),
        criterion(recipe),
        task_loss_weight=1 - recipe.teacher_weight,
        distill_loss_weight=recipe.teacher_weight,
        temperature=recipe.teacher_temperature,
        device=at,
        verbose=False,
    )


def teacher(weights: str, inputs: Inputs, classes: tuple[str, ...]) -> Described:
    """A trained network, at the student's image size. Raises SpecError where it knows other classes or channels."""
    file = weights_file(weights)
    held = header(file)
    network = moved(held, inputs.size, file)
    known = tuple(map(str, held.data.get("classes", ())))
    if (known and known != classes) or network.family.classes != len(classes):
        raise SpecError.of(UNFIT, f"the teacher {weights} knows other classes than the data", "one for the same data")
    own = Inputs.of(network, held.data) if {"mean", "std"} <= set(held.data) else inputs
    if own.channels != inputs.channels:
        what = f"the teacher {weights} reads {own.channels} channels, the student {inputs.channels}"
        raise SpecError.of(UNFIT, what, f"in_chans: {own.channels}")
    return Described(fill(network, file).requires_grad_(False), own, len(classes)).eval()
