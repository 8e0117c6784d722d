"""How often a network is right, how sure it is of it, and what it says of single images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ...compiler.errors import SpecError
from ...compiler.resolve import Network
from .data import UNFIT, AnySplit, Bad, Batch, Inputs, Key, Samples, as_is
from .tally import Calibration, Interval, Tally, percent, wilson

BATCH = 256

CPU = torch.device("cpu")

Mean = Literal["logits", "probabilities"]


@dataclass(frozen=True)
class Score:
    """Right answers among a number of images; ``top1`` is their share in percent."""

    images: int
    right: int

    @property
    def top1(self) -> float:
        return percent(self.right, self.images)


@dataclass(frozen=True)
class Evaluation:
    """Accuracies in percent, the mean cross-entropy in nats, and images that could not be used.

    ``interval`` is Wilson's for top-1, at 95 %. ``confusion`` counts images by true class (row) and answer (column);
    None for more than ``tally.MOST_CLASSES`` classes. ``per_class`` has the classes that there are images of.
    """

    images: int
    top1: float
    top5: float
    loss: float
    per_class: Mapping[str, Score]
    interval: Interval
    calibration: Calibration
    confusion: tuple[tuple[int, ...], ...] | None = field(repr=False)
    bad: tuple[Bad, ...] = ()

    def facts(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        classes = {
            name: {"images": score.images, "top1": score.top1, "interval": list(wilson(score.right, score.images))}
            for name, score in self.per_class.items()
        }
        return {
            "images": self.images,
            "top1": self.top1,
            "top1_interval": {"method": "Wilson", "level": 0.95, "low": self.interval[0], "high": self.interval[1]},
            "top5": self.top5,
            "loss": self.loss,
            "per_class": classes,
            "calibration": self.calibration.facts(),
            "confusion": self.confusion,
            "bad": [bad._asdict() for bad in self.bad],
        }


@dataclass(frozen=True)
class Member:
    """A model that answers, how its input is prepared, and where its classes stand if not as the first member's do."""

    model: nn.Module
    inputs: Inputs
    columns: Tensor | None = None

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device


@dataclass(frozen=True)
class Ranks:
    """This process among those that evaluate together: each takes every ``count``-th image, and none twice."""

    rank: int = 0
    count: int = 1
    device: torch.device = CPU

    @classmethod
    def here(cls) -> Ranks:
        """As `accelerate launch` or `torchrun` has started this process."""
        from accelerate import PartialState

        # without a GPU it looks for other processes only if told to use the CPU
        state = PartialState(cpu=not torch.cuda.is_available() or os.environ.get("ACCELERATE_USE_CPU") == "true")
        return cls(state.process_index, state.num_processes, state.device)

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.count == 1:
            return tensor
        from accelerate.utils import reduce

        return reduce(tensor.to(self.device), "sum").cpu()

    def gathered(self, items: Sequence[Bad]) -> list[Bad]:
        """Those of all processes."""
        if self.count == 1:
            return list(items)
        from accelerate.utils import gather_object

        return [Bad(*item) for item in gather_object([tuple(item) for item in items])]


ALONE = Ranks()


def fits(network: Network, classes: Sequence[str]) -> None:
    """Raise SpecError unless the network has as many classes as the data."""
    if network.family.classes != len(classes):
        what = f"{network.name} has {network.family.classes} classes, the data {len(classes)}"
        raise SpecError.of(UNFIT, what, f"classes: {len(classes)}")


def evaluate(
    model: nn.Module,
    split: AnySplit,
    inputs: Inputs,
    classes: Sequence[str],
    *,
    relabel: Tensor | None = None,
    ranks: Ranks = ALONE,
    workers: int = 0,
) -> Evaluation:
    """The model's accuracy on a split; ``classes`` are the names of its outputs, in order.

    ``relabel`` gives the output of each of the split's classes, where they have others or stand in another order. With
    ``ranks``, all processes call this, each with the same model, and each gets the answer for all images.
    """
    tally = Tally.empty(len(classes))
    for logits, batch in answers([Member(model, inputs)], split, ranks=ranks, workers=workers):
        tally.add(logits, batch.labels if relabel is None else relabel[batch.labels], batch.bad)
    return summed(tally, classes, ranks)


def summed(tally: Tally, classes: Sequence[str], ranks: Ranks = ALONE) -> Evaluation:
    """What the tallies of all processes come to."""
    whole = Tally.of((ranks.total(tensor) for tensor in tally.tensors()), sorted(ranks.gathered(tally.bad)))
    images, right = whole.counts.tolist(), whole.right.tolist()
    total = sum(images)
    return Evaluation(
        total,
        percent(sum(right), total),
        percent(int(whole.top5), total),
        round(float(whole.loss) / total, 6) if total else 0.0,
        {name: Score(images[index], right[index]) for index, name in enumerate(classes) if images[index]},
        wilson(sum(right), total),
        Calibration.of(whole.bins),
        tuple(tuple(row) for row in whole.confusion.tolist()) if len(whole.confusion) else None,
        tuple(whole.bad),
    )


def answers(
    members: Sequence[Member],
    split: AnySplit,
    mean: Mean = "logits",
    *,
    ranks: Ranks = ALONE,
    workers: int = 0,
    skip: int = 0,
) -> Iterator[tuple[Tensor, Batch]]:
    """Logits (B, classes) on the CPU with the batch they are for, from batch ``skip`` on.

    Of several members it is the mean of their logits, or the logarithm of that of their probabilities. All processes
    give equally many batches, some of them maybe of no image, so that a model that lies on all of them can answer.
    """
    sources = [batches(split.samples(member.inputs), ranks, workers, skip) for member in members]
    for together in zip(*sources, strict=True):
        said = [logits_of(member, batch) for member, batch in zip(members, together, strict=True)]
        yield (said[0] if len(said) == 1 else averaged(said, mean)), together[0]


def averaged(said: Sequence[Tensor], mean: Mean) -> Tensor:
    """Of several members' logits."""
    stacked = torch.stack(list(said))
    return stacked.mean(0) if mean == "logits" else stacked.softmax(2).mean(0).log()


@torch.inference_mode()
def logits_of(member: Member, batch: Batch) -> Tensor:
    """Of one member, on the CPU; the model's mode stays what it was."""
    images = batch.images if len(batch.images) else torch.zeros(1, *batch.images.shape[1:])
    training = member.model.training
    member.model.eval()
    said = member.model(images.to(member.device)).float().cpu()[: len(batch.images)]
    member.model.train(training)
    return said if member.columns is None else said[:, member.columns]


def batches(samples: Samples, ranks: Ranks = ALONE, workers: int = 0, skip: int = 0) -> Iterator[Batch]:
    """A process's share of the images, in order, the last batch filled up with nothing."""
    rounds = -(-len(samples) // (BATCH * ranks.count))
    parts = _parts(_keys(samples, ranks, skip * BATCH), rounds - skip)
    if not workers:
        return map(samples.__getitems__, parts)
    generator = torch.Generator()  # a loader draws from it, and not from that of a training
    whole: Any = samples
    return iter(DataLoader(whole, batch_sampler=parts, collate_fn=as_is, num_workers=workers, generator=generator))


def _keys(samples: Samples, ranks: Ranks, start: int) -> Iterator[Key]:
    if samples.streamed:
        ordered: Callable[..., Iterator[Key]] = samples.keys  # type: ignore[attr-defined]
        return ordered(0, start, ranks.rank, ranks.count)
    return (Key(0, index) for index in range(ranks.rank + start * ranks.count, len(samples), ranks.count))


def numbered(samples: Samples, positions: Sequence[int]) -> list[Key]:
    """The keys of some images for evaluation; a stream is read up to the last of them."""
    if not samples.streamed:
        return [Key(0, position) for position in positions]
    read = list(islice(_keys(samples, ALONE, 0), max(positions) + 1))
    return [read[position] for position in positions]


def _parts(keys: Iterator[Key], count: int) -> Iterator[list[Key]]:
    return (list(islice(keys, BATCH)) for _ in range(count))


def top(member: Member, images: Iterable[Tensor], k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` likeliest classes of prepared images (N, C, H, W) and their probabilities, each (N, k)."""
    nothing = torch.zeros(0, dtype=torch.long)
    said = [logits_of(member, Batch(part, nothing, nothing)) for part in images]
    found = torch.cat(said).softmax(1).topk(k)
    return found.indices, found.values
