"""What adds up over batches and processes, and what an accuracy and its uncertainty are made from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .data import Bad

BINS = 15
"""Of confidence, equally wide. Guo et al., arXiv:1706.04599, section 2."""
MOST_CLASSES = 2000
"""Of more classes no confusion is kept: it would take up gigabytes."""
Z95 = 1.959963984540054
"""Normal quantile of a two-sided interval at 95 %."""

Interval = tuple[float, float]
"""Lowest and highest, percent."""


def percent(part: int, whole: int) -> float:
    """A share, in percent; 0 of nothing."""
    return round(100 * part / whole, 4) if whole else 0.0


def wilson(right: int, images: int) -> Interval:
    """The interval of a share at 95 %, in percent. E. B. Wilson, JASA 22 (1927), p. 209."""
    if not images:
        return 0.0, 100.0
    share, weight = right / images, Z95**2 / images
    centre = (share + weight / 2) / (1 + weight)
    reach = Z95 * math.sqrt(share * (1 - share) / images + weight / (4 * images)) / (1 + weight)
    return round(100 * max(centre - reach, 0.0), 4), round(100 * min(centre + reach, 1.0), 4)


@dataclass(frozen=True)
class Bin:
    """Answers of one range of confidence: how many, their mean confidence, and the share that is right."""

    images: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """How far confidence is from accuracy. ``ece`` is the expected calibration error, between 0 and 1."""

    ece: float
    bins: tuple[Bin, ...]

    @classmethod
    def of(cls, sums: Tensor) -> Calibration:
        """From (3, bins): answers, the sum of their confidences, and right ones."""
        rows = sums.T.tolist()
        total = sum(count for count, _, _ in rows)
        gap = sum(abs(right - confidence) for _, confidence, right in rows)
        bins = tuple(
            Bin(int(count), round(confidence / count, 6), round(right / count, 6)) if count else Bin(0, 0.0, 0.0)
            for count, confidence, right in rows
        )
        return cls(round(gap / total, 6) if total else 0.0, bins)

    def facts(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        rows = [{"from": round(place / BINS, 4), **vars(one)} for place, one in enumerate(self.bins)]
        return {"ece": self.ece, "bins": rows}


@dataclass
class Tally:
    """Sums over the images seen: by class (C,) all and right ones, by true class and answer (C, C), in all the losses
    and the answers with the class among five, and by confidence (3, bins) answers, confidences, right ones.
    """

    counts: Tensor
    right: Tensor
    confusion: Tensor
    loss: Tensor
    top5: Tensor
    bins: Tensor
    bad: list[Bad] = field(default_factory=list)

    @classmethod
    def of(cls, tensors: Iterable[Tensor], bad: Iterable[Bad]) -> Tally:
        """From its tensors, in the order of the fields."""
        counts, right, confusion, loss, top5, bins = tensors
        return cls(counts, right, confusion, loss, top5, bins, list(bad))

    @classmethod
    def empty(cls, classes: int) -> Tally:
        pairs = classes if classes <= MOST_CLASSES else 0
        counts, right, confusion, top5 = (torch.zeros(shape, dtype=torch.long) for shape in (
            (classes,), (classes,), (pairs, pairs), ()))  # fmt: skip
        doubles = torch.zeros((), dtype=torch.double), torch.zeros(3, BINS, dtype=torch.double)
        return cls(counts, right, confusion, doubles[0], top5, doubles[1])

    def tensors(self) -> list[Tensor]:
        """All that adds up, in the order of the fields."""
        return [self.counts, self.right, self.confusion, self.loss, self.top5, self.bins]

    def add(self, logits: Tensor, labels: Tensor, bad: Sequence[Bad] = ()) -> None:
        """A batch: logits (B, C) and classes (B,)."""
        self.bad.extend(bad)
        if not len(labels):
            return
        classes = len(self.counts)
        ranked = logits.topk(min(5, classes)).indices
        hits = ranked == labels[:, None]
        self.counts += labels.bincount(minlength=classes)
        self.right += labels[hits[:, 0]].bincount(minlength=classes)
        self.top5 += hits.sum()
        self.loss += F.cross_entropy(logits.double(), labels, reduction="sum")
        if len(self.confusion):
            pairs = (labels * classes + ranked[:, 0]).bincount(minlength=classes**2)
            self.confusion += pairs.view(classes, classes)
        self._confide(logits.double().softmax(1).amax(1), hits[:, 0].double())

    def _confide(self, confidence: Tensor, right: Tensor) -> None:
        """Confidences (B,) above 0 up to 1: a bin holds its upper end."""
        place = ((confidence * BINS).ceil().long() - 1).clamp(0, BINS - 1)
        self.bins.index_add_(1, place, torch.stack((torch.ones_like(confidence), confidence, right)))
