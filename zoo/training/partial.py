"""An evaluation that goes on where it was stopped: its tally in a file, with what it is of."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...compiler.errors import Problem, SpecError
from ..atomic import replacing
from .data import UNFIT, AnySplit, Bad
from .data.bad_images import BadImages
from .evaluate import ALONE, Evaluation, Mean, Member, Ranks, answers, summed
from .tally import Tally

EVERY = 30.0
"""Seconds between two writings of the file."""
NAMES = tuple(field.name for field in fields(Tally) if field.name != "bad")

Identity = Mapping[str, Any]
"""What an evaluation is of, as plain values: weights, data, inputs."""


@dataclass(frozen=True)
class Partial:
    """A file of a tally. Each process has its own."""

    file: Path
    identity: Identity

    @classmethod
    def of(cls, file: Path, identity: Identity, ranks: Ranks = ALONE) -> Partial:
        own = file.with_name(f"{file.name}.{ranks.rank}") if ranks.rank else file
        return cls(own, json.loads(json.dumps({**identity, "processes": ranks.count})))

    def read(self, classes: int) -> tuple[Tally, int]:
        """The tally and the number of its batches: nothing where there is no file yet.

        Raises SpecError for a file of another evaluation, or none that we wrote.
        """
        if not self.file.exists():
            return Tally.empty(classes), 0
        try:
            with safe_open(self.file, "pt") as held:
                told = held.metadata() or {}
                tensors = [held.get_tensor(name) for name in NAMES]
            identity, batches, bad = (json.loads(told[key]) for key in ("identity", "batches", "bad"))
        except (SafetensorError, KeyError, ValueError) as error:
            raise self._wrong("no part of an evaluation, or a damaged one", str(error)) from None
        other = [key for key in self.identity if self.identity[key] != identity.get(key)]
        if other:
            hint = "name another file for this evaluation, or remove this one"
            raise self._wrong(f"part of another evaluation: its {', '.join(other)} differ", hint)
        return Tally.of(tensors, (Bad(*one) for one in bad)), int(batches)

    def write(self, tally: Tally, batches: int) -> None:
        """At once or not at all."""
        told = {"identity": self.identity, "batches": batches, "bad": [tuple(one) for one in tally.bad]}
        with replacing(self.file) as temporary:
            tensors = dict(zip(NAMES, tally.tensors(), strict=True))
            save_file(tensors, temporary, {key: json.dumps(value) for key, value in told.items()})

    def _wrong(self, what: str, hint: str) -> SpecError:
        return SpecError(Problem(UNFIT, what, hint, source=str(self.file)))


def resumed(
    members: Sequence[Member],
    split: AnySplit,
    classes: Sequence[str],
    *,
    relabel: Tensor | None = None,
    mean: Mean = "probabilities",
    partial: Partial | None = None,
    most_bad: int = 100,
    ranks: Ranks = ALONE,
    workers: int = 0,
    say: Callable[[int], None] = lambda images: None,
) -> Evaluation:
    """The accuracy of one model or of several together; of what ``partial`` holds nothing is done again.

    ``say`` hears how many images are done after each batch. Raises SpecError for more than ``most_bad`` bad images.
    """
    tally, done = partial.read(len(classes)) if partial else (Tally.empty(len(classes)), 0)
    log, written = BadImages(None, most_bad), time.monotonic()
    log.seen(tally.bad)
    try:
        for logits, batch in answers(members, split, mean, ranks=ranks, workers=workers, skip=done):
            tally.add(logits, batch.labels if relabel is None else relabel[batch.labels], batch.bad)
            done += 1
            log.seen(batch.bad)
            say(int(tally.counts.sum()))
            if partial and time.monotonic() - written > EVERY:
                partial.write(tally, done)
                written = time.monotonic()
    finally:
        if partial:
            partial.write(tally, done)
    return summed(tally, classes, ranks)
