"""How often a network is right, and what it says of single images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...compiler.errors import SpecError
from ...compiler.resolve import Network
from .data import UNFIT, Inputs, Split

BATCH = 256


@dataclass(frozen=True)
class Score:
    """Right answers among a number of images; ``top1`` is their share in percent."""

    images: int
    right: int

    @property
    def top1(self) -> float:
        return _percent(self.right, self.images)


@dataclass(frozen=True)
class Evaluation:
    """Accuracies in percent, and the mean cross-entropy in nats."""

    images: int
    top1: float
    top5: float
    loss: float
    per_class: Mapping[str, Score]

    def facts(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        classes = {name: {"images": score.images, "top1": score.top1} for name, score in self.per_class.items()}
        return {"images": self.images, "top1": self.top1, "top5": self.top5, "loss": self.loss, "per_class": classes}


def fits(network: Network, classes: Sequence[str]) -> None:
    """Raise SpecError unless the network has as many classes as the data."""
    if network.family.classes != len(classes):
        what = f"{network.name} has {network.family.classes} classes, the data {len(classes)}"
        raise SpecError.of(UNFIT, what, f"classes: {len(classes)}")


def evaluate(model: nn.Module, split: Split, inputs: Inputs, classes: Sequence[str]) -> Evaluation:
    """The model's accuracy on a split; ``classes`` are the names of its outputs, in order."""
    logits = torch.cat(list(outputs(model, split.images, inputs)))
    ranked = logits.topk(min(5, len(classes))).indices
    hits = ranked == split.labels[:, None]
    right = hits[:, 0]
    return Evaluation(
        len(split),
        _percent(int(right.sum()), len(split)),
        _percent(int(hits.sum()), len(split)),
        round(float(F.cross_entropy(logits.double(), split.labels)), 6),
        {
            name: Score(int((split.labels == index).sum()), int(right[split.labels == index].sum()))
            for index, name in enumerate(classes)
        },
    )


def top(model: nn.Module, images: Tensor, inputs: Inputs, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` likeliest classes of every image (N, 1, h, w) and their probabilities, each (N, k)."""
    found = torch.cat(list(outputs(model, images, inputs))).softmax(1).topk(k)
    return found.indices, found.values


@torch.inference_mode()
def outputs(model: nn.Module, images: Tensor, inputs: Inputs) -> Iterator[Tensor]:
    """Logits of the images, batch by batch, on the CPU; the model's mode stays what it was."""
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    for batch in images.split(BATCH):
        yield model(inputs(batch).to(device)).float().cpu()
    model.train(training)


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 4) if whole else 0.0
