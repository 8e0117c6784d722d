"""Accuracy on the validation images while a network is trained: each image counts once, whatever process sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F

from ...compiler.errors import SpecError
from .data import UNFIT, Batch, Samples
from .evaluate import Ranks, batches


@dataclass(frozen=True)
class Validation:
    """Accuracies in percent and the mean cross-entropy in nats, over a number of images."""

    images: int
    top1: float
    top5: float
    loss: float


def validate(
    model: nn.Module,
    samples: Samples,
    accelerator: Accelerator,
    workers: int = 0,
    unread: Callable[[Sequence[Batch]], None] | None = None,
) -> Validation:
    """How often the model is right. It is left in evaluation mode. Every process must call this.

    ``unread`` hears of every batch, for the images in it that could not be read. Raises SpecError where none can.
    """
    model.eval()
    sums = torch.zeros(4, dtype=torch.float64)
    for batch in batches(samples, Ranks(accelerator.process_index, accelerator.num_processes), workers):
        if unread:
            unread([batch])
        images = batch.images if len(batch.labels) else torch.zeros(1, *batch.images.shape[1:])  # to keep step
        with torch.no_grad(), accelerator.autocast():
            logits = model(images.to(accelerator.device, non_blocking=True)).float().cpu()
        if len(batch.labels):
            sums += counted(logits, batch.labels)
    if accelerator.num_processes > 1:
        on = sums.float() if accelerator.device.type == "mps" else sums
        sums = accelerator.reduce(on.to(accelerator.device)).cpu().double()
    images, right, near, loss = sums.tolist()
    if not images:
        raise SpecError.of(UNFIT, "none of the validation images can be read", "`mixspec eval` names them with reasons")
    top1, top5 = (round(100 * part / images, 4) for part in (right, near))
    return Validation(int(images), top1, top5, round(loss / images, 6))


def counted(logits: Tensor, labels: Tensor) -> Tensor:
    """Images, those whose first answer is right, those among whose first five it is, and the sum of the losses."""
    hits = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
    loss = F.cross_entropy(logits.double(), labels, reduction="sum")
    return torch.stack([torch.tensor(float(len(labels))), hits[:, 0].sum(), hits.sum(), loss]).double()
