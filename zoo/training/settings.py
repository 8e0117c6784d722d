"""How a training is run, beside what its recipe says: nothing here changes what is learnt but the seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tracker = Literal["tensorboard", "wandb", "trackio"]


@dataclass(frozen=True)
class Settings:
    """``resume``: never, or auto, which continues what the folder holds and starts where it holds nothing.

    ``every_updates``, ``every_minutes``: checkpoints inside epochs; one is written behind each epoch anyway. ``keep``:
    checkpoints that stay. ``log_every``: updates between two rows of updates.csv.
    """

    seed: int = 0
    resume: Literal["never", "auto"] = "never"
    overwrite: bool = False
    every_updates: int | None = None
    every_minutes: float | None = None
    keep: int = 2
    workers: int = 0
    log_every: int = 10
    trackers: tuple[Tracker, ...] = ()
    cpu: bool = False
