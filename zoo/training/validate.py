"""Accuracy on the validation images while a network is trained: each image counts once, whatever process sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from .data import Batch, Key, Samples, as_is

BATCH = 256


@dataclass(frozen=True)
class Validation:
    """Accuracies in percent and the mean cross-entropy in nats, over a number of images."""

    images: int
    top1: float
    top5: float
    loss: float


def validate(model: nn.Module, samples: Samples, accelerator: Accelerator, workers: int = 0) -> Validation:
    """How often the model is right. It is left in evaluation mode. Every process must call this."""
    model.eval()
    sums = torch.zeros(4, dtype=torch.float64)
    for batch, counts in batches(samples, accelerator, workers):
        with torch.no_grad(), accelerator.autocast():
            logits = model(batch.images.to(accelerator.device, non_blocking=True)).float().cpu()
        if counts and len(batch.labels):
            sums += counted(logits, batch.labels)
    if accelerator.num_processes > 1:
        on = sums.float() if accelerator.device.type == "mps" else sums
        sums = accelerator.reduce(on.to(accelerator.device)).cpu().double()
    images, right, near, loss = sums.tolist()
    top1, top5 = (round(100 * part / images, 4) for part in (right, near))
    return Validation(int(images), top1, top5, round(loss / images, 6))


def counted(logits: Tensor, labels: Tensor) -> Tensor:
    """Images, those whose first answer is right, those among whose first five it is, and the sum of the losses."""
    hits = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
    loss = F.cross_entropy(logits.double(), labels, reduction="sum")
    return torch.stack([torch.tensor(float(len(labels))), hits[:, 0].sum(), hits.sum(), loss]).double()


def batches(samples: Samples, accelerator: Accelerator, workers: int) -> Iterator[tuple[Batch, bool]]:
    """Every ranks-th image, in batches, equally many on all processes; False marks one that only keeps step."""
    count, rank, ranks = len(samples), accelerator.process_index, accelerator.num_processes
    mine = [Key(0, index) for index in range(rank, count, ranks)]
    steps = -(-count // (ranks * BATCH))
    lists = [mine[step * BATCH : (step + 1) * BATCH] or [Key(0, 0)] for step in range(steps)]
    loader: DataLoader[Any] = DataLoader(samples, batch_sampler=lists, collate_fn=as_is, num_workers=workers)  # type: ignore[arg-type]
    real = -(-len(mine) // BATCH)
    for step, batch in enumerate(loader):
        yield batch, step < real
