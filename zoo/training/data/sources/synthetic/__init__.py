"""Procedural sets that probe one ability of a mixer each: ``synthetic/pairs?size=64&train=2000&distance=40``.

Each file beside ``task.py`` is one task. An image follows from seed, split and index alone, so that a set has any size
and any number of images.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor

from ......compiler.checked import problems
from ......compiler.errors import SpecError
from ......compiler.suggest import did_you_mean, nearest
from ...location import Location
from ...values import Data, Drawable, Split, SplitName
from .task import Task

HELD = 256 * 2**20
"""Bytes of a split that is drawn once and held in memory; of a larger one each batch is drawn anew."""
PART = 256
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")


def names() -> tuple[str, ...]:
    """The tasks there are."""
    files = Path(__file__).parent.glob("*.py")
    return tuple(sorted(file.stem for file in files if file.stem not in ("__init__", "task")))


def open(at: Location) -> Data:
    """``synthetic/TASK?option=value``. Raises SpecError for an unknown task or option, or a wrong value."""
    if at.rest not in names():
        near = nearest(at.rest, names()) or names()
        raise at.wrong(f"there is no task {at.rest!r}", did_you_mean(at.rest, near))
    kind: type[Task] = getattr(importlib.import_module(f"{__name__}.{at.rest}"), at.rest.capitalize())
    try:
        task = kind.model_validate(dict(at.options))
    except ValidationError as error:
        raise SpecError(*(at.problem(problem) for problem in problems(error, kind))) from None
    splits = {name: _split(task, number) for number, name in enumerate(SPLITS)}
    some, _ = splits["train"].read(range(min(PART, task.train)))
    mean, std = (round(float(value), 4) for value in (some.mean(), some.std()))
    return Data(at.text, task.names, splits, mean, std)


def _split(task: Task, number: int) -> Drawable:
    drawn = Drawn(task, number)
    if len(drawn) * task.size**2 * 4 > HELD:
        return drawn
    parts = [drawn.read(range(start, min(start + PART, len(drawn)))) for start in range(0, len(drawn), PART)]
    return Split(torch.cat([images for images, _ in parts]), torch.cat([labels for _, labels in parts]))


@dataclass(frozen=True)
class Drawn(Drawable):
    """A split of a task whose images are drawn when they are asked for."""

    task: Task
    number: int

    def __len__(self) -> int:
        return int(getattr(self.task, SPLITS[self.number]))

    def read(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        return self.task.images(self.number, indices), self.task.labels(torch.tensor(indices, dtype=torch.long))

    def digest(self) -> str:
        told = f"{type(self.task).__name__} {self.number} {self.task.model_dump_json()}"
        return hashlib.sha256(told.encode()).hexdigest()
